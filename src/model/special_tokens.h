// Finds the names of control tokens ("<|im_end|>") in text, so that text from users can be kept from acting
// as one. Knows nothing of libllama.
// Thread-safety: const after construction.
// Cost: one hash lookup per position that may begin a name and per distinct length of name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pmt::model {

struct SpecialToken {
  std::int32_t id = -1;
  std::string text;
  bool strips_left = false;   // swallows white space before it
  bool strips_right = false;  // and after it
};

class SpecialTokens {
 public:
  explicit SpecialTokens(std::vector<SpecialToken> tokens);
  SpecialTokens(const SpecialTokens&) = delete;
  SpecialTokens& operator=(const SpecialTokens&) = delete;

  struct Match {
    std::size_t begin = 0, end = 0;  // [begin, end) in the text
    const SpecialToken* token = nullptr;
  };
  /// The leftmost name that begins at or after `from`; of those that begin there, the longest.
  std::optional<Match> find(std::string_view text, std::size_t from = 0) const;

  const std::vector<SpecialToken>& all() const { return tokens_; }

 private:
  std::vector<SpecialToken> tokens_;
  std::unordered_map<std::string_view, const SpecialToken*> by_text_;  // views into tokens_
  std::array<bool, 256> may_begin_{};
  std::vector<std::size_t> lengths_;  // distinct, longest first
};

}  // namespace pmt::model
