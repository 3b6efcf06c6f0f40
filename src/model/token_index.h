// A vocabulary's texts in byte order, so that tokens with the same beginning are checked together: what
// follows a grammar walks it once for all tokens. Thread-safety: const after create. Cost: some 10 ms and 1.5
// MB for 49K tokens, once a vocabulary.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/vocab.h"

namespace pmt::model {

class TokenIndex {
 public:
  /// `shown`: control tokens that stand for their names.
  static std::shared_ptr<const TokenIndex> create(const Vocab& vocab,
                                                  const std::vector<std::int32_t>& shown = {});
  /// Of texts by token, without a vocabulary: for tests. "" is a control token; `eog` end an answer.
  static std::shared_ptr<const TokenIndex> of_texts(const std::vector<std::string>& texts,
                                                    const std::vector<std::int32_t>& eog);

  struct Entry {
    std::int32_t token;
    std::uint32_t common;  // bytes that it begins with like the entry before it
    std::string_view text;
  };
  /// Tokens that stand for text, by their bytes.
  const std::vector<Entry>& entries() const { return entries_; }
  const std::vector<std::int32_t>& eog() const { return eog_; }
  bool is_eog(std::int32_t token) const { return kinds_[static_cast<std::size_t>(token)] == Kind::kEog; }
  /// "" for one that stands for no text.
  std::string_view text(std::int32_t token) const { return texts_[static_cast<std::size_t>(token)]; }
  std::size_t size() const { return texts_.size(); }

 private:
  enum class Kind : std::uint8_t { kText, kEog };
  TokenIndex() = default;
  void sort();

  std::vector<std::string> texts_;  // by token
  std::vector<Kind> kinds_;
  std::vector<std::int32_t> eog_;
  std::vector<Entry> entries_;
};

}  // namespace pmt::model
