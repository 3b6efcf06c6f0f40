#include "model/token_index.h"

#include <algorithm>

namespace pmt::model {

void TokenIndex::sort() {
  kinds_.assign(texts_.size(), Kind::kText);
  for (const std::int32_t token : eog_) kinds_[static_cast<std::size_t>(token)] = Kind::kEog;
  for (std::size_t token = 0; token < texts_.size(); ++token) {
    std::string& text = texts_[token];
    // No grammar has a text with NUL: it could only be a token that is never meant.
    if (kinds_[token] == Kind::kEog || text.starts_with('\0')) text.clear();
    if (!text.empty()) entries_.push_back({static_cast<std::int32_t>(token), 0, text});
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.text != b.text ? a.text < b.text : a.token < b.token;
  });
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    const std::string_view before = entries_[i - 1].text, text = entries_[i].text;
    const auto end = std::mismatch(before.begin(), before.end(), text.begin(), text.end());
    entries_[i].common = static_cast<std::uint32_t>(end.second - text.begin());
  }
}

std::shared_ptr<const TokenIndex> TokenIndex::create(const Vocab& vocab,
                                                     const std::vector<std::int32_t>& shown) {
  std::vector<std::string> texts;
  std::vector<std::int32_t> eog;
  texts.reserve(static_cast<std::size_t>(vocab.size()));
  for (std::int32_t token = 0; token < vocab.size(); ++token) {
    texts.push_back(vocab.piece(token));
    if (vocab.is_eog(token)) eog.push_back(token);
  }
  for (const std::int32_t token : shown)
    texts[static_cast<std::size_t>(token)] = vocab.piece(token, {.name_special = true});
  return of_texts(texts, eog);
}

std::shared_ptr<const TokenIndex> TokenIndex::of_texts(const std::vector<std::string>& texts,
                                                       const std::vector<std::int32_t>& eog) {
  std::shared_ptr<TokenIndex> index(new TokenIndex());
  index->texts_ = texts;
  index->eog_ = eog;
  index->sort();
  return index;
}

}  // namespace pmt::model
