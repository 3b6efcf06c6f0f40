// A text without the spaces and line ends around it. Thread-safety: pure.
#pragma once

#include <string_view>

namespace pmt::base {

/// Of `text`, whose bytes must outlive it.
constexpr std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace pmt::base
