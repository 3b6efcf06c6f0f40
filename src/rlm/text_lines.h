// A walk over a text's lines, without their ends and without a list of them: of line ends alone it would be sixteen
// times the text. Thread-safety: one thread. The text must outlive it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace pmt::rlm {

class TextLines {
 public:
  explicit TextLines(std::string_view text, std::size_t at = 0) : text_(text), at_(at) {}
  bool at_end() const { return at_ >= text_.size(); }
  std::size_t at() const { return at_; }
  std::string_view next() {
    const std::size_t end = std::min(text_.size(), text_.find('\n', at_));
    std::string_view line = text_.substr(at_, end - at_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    at_ = end + 1;
    return line;
  }

 private:
  std::string_view text_;
  std::size_t at_;
};

}  // namespace pmt::rlm
