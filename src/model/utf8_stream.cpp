#include "model/utf8_stream.h"

#include <cstddef>

namespace pmt::model {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Step {
  std::size_t length;  // bytes to take
  enum { kWhole, kIncomplete, kInvalid } what;
};

/// Reads one character at the beginning of `text` (not empty), by Table 3-7 of the Unicode Standard: the
/// second byte's range depends on the first, which rules out overlong forms, surrogates and what is past
/// U+10FFFF.
Step next_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, Step::kWhole};
  if (lead < 0xC2 || lead > 0xF4) return {1, Step::kInvalid};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {i, Step::kIncomplete};
    const unsigned char low = i > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = i > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (byte(i) < low || byte(i) > high) return {i, Step::kInvalid};
  }
  return {length, Step::kWhole};
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  std::string out;
  out.reserve(held_.size());
  std::string_view rest = held_;
  while (!rest.empty()) {
    const Step step = next_character(rest);
    if (step.what == Step::kIncomplete) break;
    out += step.what == Step::kWhole ? rest.substr(0, step.length) : kReplacement;
    rest.remove_prefix(step.length);
  }
  held_ = std::string(rest);
  return out;
}

std::string Utf8Stream::flush() {
  if (held_.empty()) return {};
  held_.clear();
  return std::string(kReplacement);
}

}  // namespace pmt::model
