// A text without the spaces and line ends around it. Thread-safety: pure.
#pragma once

#include <string_view>

namespace pmt::base {

/// Of `text`, whose bytes must outlive it.
constexpr std::string_view trimmed(std::string_view text) {
  // By hand: the library's search for one of several calls memchr for every byte, and this is asked for each
  // member of each JSON object that passes.
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace pmt::base
