#include "model/special_tokens.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace pmt::model {

SpecialTokens::SpecialTokens(std::vector<SpecialToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const SpecialToken& token) { return token.text.empty(); });
  std::set<std::size_t, std::greater<>> lengths;
  for (const SpecialToken& token : tokens_) {
    by_text_.emplace(token.text, &token);
    may_begin_[static_cast<unsigned char>(token.text.front())] = true;
    lengths.insert(token.text.size());
  }
  lengths_.assign(lengths.begin(), lengths.end());
}

std::optional<SpecialTokens::Match> SpecialTokens::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!may_begin_[static_cast<unsigned char>(text[begin])]) continue;
    for (const std::size_t length : lengths_) {
      if (length > text.size() - begin) continue;
      const auto found = by_text_.find(text.substr(begin, length));
      if (found != by_text_.end()) return Match{begin, begin + length, found->second};
    }
  }
  return std::nullopt;
}

}  // namespace pmt::model
