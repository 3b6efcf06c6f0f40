// A smaller model of the same vocabulary, which drafts what the answering model may write next (note 0048).
//
// It reads the end of the text only: the first tokens, where attention rests, and a window that begins some way
// before the answer's end when it is first asked. It follows one text at a time. Thread-safety: the scheduler's
// thread. Cost: its weights, and the pages of a few thousand tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "inference/draft_policy.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::inference {

class DraftModel {
 public:
  struct Draft {
    std::int32_t token = 0;
    double probability = 0;  // that the model gives it
  };

  /// `vocab`: of the model that it drafts for. Errors: kInvalidArgument, its vocabulary is another one, or its
  /// architecture isn't ours; and Transformer::load's.
  static base::Result<std::unique_ptr<DraftModel>> load(const std::string& path, int threads,
                                                        const model::Vocab& vocab,
                                                        const model::Transformer::Admit& admit);

  /// Tokens that it would read before it could draft what follows `text`: at least one.
  int unread(std::span<const std::int32_t> text) const;
  /// Reads them, and gives the likeliest token to follow. Requires: text isn't empty. Nullopt: no room.
  std::optional<Draft> next(std::span<const std::int32_t> text);
  /// Nothing is left of the text that it followed.
  void forget();
  /// What it took on a short text of its own, once.
  base::Result<DraftPolicy::Pace> measure(const base::Clock& clock);

 private:
  /// The tokens of a text that it holds when it has read it.
  struct Plan {
    std::size_t begins = 0;  // of the window, in the text
    std::vector<std::int32_t> tokens = {};
    std::size_t read = 0;  // of them, by now
  };
  DraftModel(std::unique_ptr<model::Transformer> transformer, std::unique_ptr<kv_cache::PagePool> pool);
  Plan plan(std::span<const std::int32_t> text) const;
  Plan plan_from(std::span<const std::int32_t> text, std::size_t begins) const;

  const std::unique_ptr<model::Transformer> transformer_;
  const std::unique_ptr<kv_cache::PagePool> pool_;
  kv_cache::SequenceKv sequence_;
  std::size_t begins_ = 0;
  std::vector<std::int32_t> read_;  // what the sequence holds
};

}  // namespace pmt::inference
