// Finds stop strings in a text that arrives in pieces, and lets text through only once it can't be the
// beginning of a stop string any more.
//
// The text stops where the first stop string is complete, however it was cut into pieces; of several that are
// complete at the same byte, the longest counts. The stop string itself is never let through.
// Thread-safety: one thread at a time.
// Cost: a table entry a stop byte; amortised O(stops) a byte of text.
// Source: Knuth, Morris, Pratt, "Fast pattern matching in strings" (1977).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pmt::model {

class StopMatcher {
 public:
  /// Requires: no empty stop string.
  explicit StopMatcher(const std::vector<std::string>& stops);

  /// The text that is safe to show now. After a stop string was found: "".
  std::string push(std::string_view text);
  /// The end of the text: what was held back.
  std::string flush();
  bool stopped() const { return stopped_; }

 private:
  struct Pattern {
    std::string text;
    std::vector<std::size_t> fallback;  // [length + 1]: longest proper border of each prefix
    std::size_t matched = 0;            // bytes of `text` that the stream ends with now
  };
  static void advance(Pattern& pattern, char byte);

  std::vector<Pattern> patterns_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace pmt::model
