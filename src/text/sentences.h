// Where a text's sentences end. Thread-safety: pure functions. Cost: one pass.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace pmt::text {

/// Half-open, in bytes.
struct Range {
  std::size_t begin = 0, end = 0;
};

/// Ended by . ! ? before a space, a line's end, a quotation mark or the text's end. Begins at no space.
struct SentenceRule {
  /// A line ends a sentence: always, or only after so many bytes of it (verse, tables and broken-off sentences
  /// have no stop for long) and before an empty line.
  std::size_t line_bytes_min = 0;
  /// A stop after fewer bytes ends none: "No. 5".
  std::size_t bytes_min = 0;
};
/// With no bytes_min, "Mr. Brandt" and "J. Doe" are told by their short word.
std::vector<Range> sentences_of(std::string_view text, const SentenceRule& rule = {});

}  // namespace pmt::text
