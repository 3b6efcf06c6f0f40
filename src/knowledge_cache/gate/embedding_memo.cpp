#include "knowledge_cache/gate/embedding_memo.h"

#include <algorithm>
#include <utility>

namespace pmt::knowledge_cache {

std::vector<std::string> EmbeddingMemo::unknown_of(const std::vector<std::string>& texts) const {
  std::vector<std::string> out;
  const std::lock_guard lock(mutex_);
  for (const std::string& text : texts) {
    if (!young_.contains(text) && !old_.contains(text) &&
        std::find(out.begin(), out.end(), text) == out.end())
      out.push_back(text);
  }
  return out;
}

void EmbeddingMemo::add(const std::vector<std::string>& texts, const std::vector<float>& rows) {
  if (texts.empty() || rows.empty() || rows.size() % texts.size() != 0) return;
  const std::size_t width = rows.size() / texts.size();
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (young_.size() >= std::max<std::size_t>(1, texts_max_ / 2)) old_ = std::exchange(young_, {});
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(i * width);
    young_[texts[i]].assign(first, first + static_cast<std::ptrdiff_t>(width));
  }
}

std::vector<float> EmbeddingMemo::rows_of(const std::vector<std::string>& texts) const {
  std::vector<float> out;
  const std::lock_guard lock(mutex_);
  for (const std::string& text : texts) {
    auto found = young_.find(text);
    if (found == young_.end()) {
      found = old_.find(text);
      if (found == old_.end()) return {};
    }
    out.insert(out.end(), found->second.begin(), found->second.end());
  }
  return out;
}

base::Result<std::vector<float>> EmbeddingMemo::embed(const Embed& embed,
                                                      const std::vector<std::string>& texts) {
  const std::vector<std::string> unknown = unknown_of(texts);
  std::vector<float> rows;
  if (!unknown.empty()) {
    TRY_ASSIGN(rows, embed(unknown));
    add(unknown, rows);
    if (unknown.size() == texts.size()) return rows;
  }
  std::vector<float> all = rows_of(texts);
  if (!all.empty() || texts.empty()) return all;
  return embed(texts);  // more than the memo holds
}

}  // namespace pmt::knowledge_cache
