// What a request's compression does while its prompt is read, and when it has been (note 0005).
//
// Every prompt token's scores are guessed as it is read. Query-aware, the prompt's last tokens are the
// question and the turn to answer it: they are read in spans of their own, whose attention says what they
// look for. Query-agnostic, turns that nobody has asked are read in their place. When the whole prompt has
// been read, the sequence is cut down to its share; what goes is made up for, to queries like the question's,
// or query-agnostic for those of a short repetition (note 0018). The first token comes from the exact pages.
// Thread-safety: the scheduler's thread.
#pragma once

#include "base/result.h"
#include "compression/asides.h"
#include "compression/mode.h"
#include "compression/scores.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/sequence_kv.h"
#include "model/transformer.h"

namespace pmt::compression {

/// Under this many prompt tokens "auto" stays exact: there is little to save, and much of it matters.
inline constexpr int kAutoExactTokens = 1000;
/// Under this many even an explicit mode stays exact.
inline constexpr int kCompressedTokensMin = 128;

class PromptCompression {
 public:
  /// Exact: nothing to do.
  PromptCompression() = default;
  /// `mode` as asked for; the mode that it comes to is mode().
  PromptCompression(Mode mode, double ratio, int prompt_tokens);

  Mode mode() const { return mode_; }
  const char* mode_name() const { return name_of(mode_); }
  double ratio() const { return ratio_; }
  bool active() const { return mode_ != Mode::kExact; }

  /// How many of the `pending` tokens after the first `read` one span may hold.
  int span_tokens(const kv_cache::SequenceKv& sequence, int pending) const;
  /// Whether a span that starts after `read` tokens belongs to the question or the turn. One such span a
  /// batch.
  bool scores_question(const kv_cache::SequenceKv& sequence) const;
  /// Asks for this span's scores and queries.
  void observe(model::BatchSpan& span, const model::KvPredictor& predictor, const model::Hparams& hparams);
  /// Whether the prompt has been read and the sequence is still exact.
  bool due(const kv_cache::SequenceKv& sequence) const;
  /// Whether compress() reads a batch of its own: the transformer's last logits are gone then.
  bool reads_more() const { return queries_.values.empty(); }
  /// Cuts the sequence, which has read `prompt`, down. Errors: kUnavailable, and it is still exact.
  base::Status compress(kv_cache::SequenceKv& sequence, std::span<const std::int32_t> prompt,
                        const Asides& asides, model::Transformer& transformer, kv_cache::PagePool& pool);

 private:
  Mode mode_ = Mode::kExact;
  double ratio_ = 1;
  int prompt_tokens_ = 0;
  QuestionPlace question_;             // all of the prompt is before it when query-agnostic
  kv_cache::ScoreBuffer scores_;       // of every prompt token: guessed, and combined once scored_
  kv_cache::ScoreBuffer by_question_;  // of those before the turn
  kv_cache::ReferenceQueries queries_;
  bool scored_ = false;  // a choice that is read again is cut by the same scores
};

}  // namespace pmt::compression
