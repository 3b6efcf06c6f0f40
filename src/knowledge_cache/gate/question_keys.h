// The keys that questions are compared by: embedded, then placed in the space of one calibration (relation_space.h).
// Here are the embedder, the calibration, which is made when first needed, and what was embedded lately.
//
// Thread-safety: any thread. Errors: kUnavailable without an embedder; otherwise the embedder's, and nothing has
// changed. Cost: 3 ms a text that isn't remembered; the first calibration of an embedder takes seconds.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "knowledge_cache/gate/embedding_memo.h"
#include "knowledge_cache/gate/relation_space.h"
#include "knowledge_cache/packs/domain.h"

namespace pmt::knowledge_cache {

class QuestionKeys {
 public:
  using Progress = std::function<void(std::size_t done, std::size_t of)>;

  /// `embed`: null where there is no embedder, and so no keys.
  QuestionKeys(Embed embed, RelationSpace::Options calibration)
      : embed_(std::move(embed)), calibration_(std::move(calibration)) {}

  bool has_embedder() const { return embed_ != nullptr; }
  /// Null until ensure_space() made one.
  std::shared_ptr<const RelationSpace> space() const;
  base::Result<std::shared_ptr<const RelationSpace>> ensure_space();

  /// The embeddings themselves, [texts, width]. Requires an embedder.
  base::Result<std::vector<float>> embed(const std::vector<std::string>& texts) {
    return memo_.embed(embed_, texts);
  }
  /// A key each. Requires a space.
  base::Result<std::vector<std::vector<float>>> of(const std::vector<std::string>& texts,
                                                   const Progress& progress);
  /// The same domain with keys of this space: of another calibration's its phrasings are embedded anew. Requires a
  /// space.
  base::Result<std::shared_ptr<const Domain>> rekeyed(std::shared_ptr<const Domain> domain);

  /// Of the questions that were asked or taught lately.
  EmbeddingMemo& memo() { return memo_; }

 private:
  const Embed embed_;
  const RelationSpace::Options calibration_;
  EmbeddingMemo memo_;
  std::mutex calibrating_;  // one at a time
  mutable std::mutex mutex_;
  std::shared_ptr<const RelationSpace> space_;  // under mutex_
};

/// Adds keys of what a person would also say.
void add_other_wordings(const RelationSpace& space, Phrasings& phrasings);

}  // namespace pmt::knowledge_cache
