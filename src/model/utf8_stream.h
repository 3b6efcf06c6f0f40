// Puts the bytes of tokens together into whole UTF-8 characters: a token may end in the middle of one.
// Thread-safety: one thread at a time.
// Cost: holds back at most 3 bytes.
#pragma once

#include <string>
#include <string_view>

namespace pmt::model {

class Utf8Stream {
 public:
  /// The characters that are complete now. Bytes that can't be UTF-8, whatever follows, become U+FFFD each
  /// maximal prefix (Unicode's recommendation, as Python and browsers do).
  std::string push(std::string_view bytes);
  /// The end of the text: what was held back becomes U+FFFD.
  std::string flush();
  bool empty() const { return held_.empty(); }

 private:
  std::string held_;  // an incomplete but so far valid character
};

}  // namespace pmt::model
