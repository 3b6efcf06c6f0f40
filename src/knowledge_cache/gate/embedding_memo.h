// Embeddings of questions that were asked before. With its thing masked ("What is the price of this thing?")
// a question comes again for every thing, so a gate that opened once for a phrasing opens at once the next
// time.
//
// Bounded: the oldest half is dropped when it is full. Thread-safety: any thread. Cost: width * 4 bytes a
// text.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "knowledge_cache/gate/relation_space.h"

namespace pmt::knowledge_cache {

class EmbeddingMemo {
 public:
  explicit EmbeddingMemo(std::size_t texts_max = 4096) : texts_max_(texts_max) {}

  /// Of `texts`, those that aren't known, each once.
  std::vector<std::string> unknown_of(const std::vector<std::string>& texts) const;
  /// `rows`: [texts.size(), width]. Ignored where the two don't fit together.
  void add(const std::vector<std::string>& texts, const std::vector<float>& rows);
  /// [texts, width]; empty if one isn't known.
  std::vector<float> rows_of(const std::vector<std::string>& texts) const;
  /// Through `embed` for what isn't known.
  base::Result<std::vector<float>> embed(const Embed& embed, const std::vector<std::string>& texts);

 private:
  const std::size_t texts_max_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::vector<float>> young_, old_;  // under mutex_
};

}  // namespace pmt::knowledge_cache
