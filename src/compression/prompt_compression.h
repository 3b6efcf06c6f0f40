// What a request's compression does while its prompt is read, and when it has been: the one door to the compressed
// cache (notes 0005, 0022).
//
// Every prompt token's scores are guessed as it is read. Query-aware, the question and the turn to answer it are read
// in spans of their own, whose attention says what they look for; where the question doesn't end the prompt, it is
// read once more behind it. Query-agnostic, turns that nobody has asked are read in their place. When the whole
// prompt has been read, the sequence is cut down to its share; what goes is made up for, to queries like the
// question's, or query-agnostic for those of a short repetition (note 0018). Without a calibration the tokens' values
// stand in for the prediction (note 0034). The first token comes from the exact
// pages.
// Source: SnapKV (arXiv 2404.14469) for the question's scores; we take the maximum over queries and group.
// Thread-safety: the scheduler's thread.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "compression/asides.h"
#include "compression/mode.h"
#include "compression/quality.h"
#include "compression/question.h"
#include "compression/scores.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/prefix_index.h"
#include "kv_cache/sequence_kv.h"
#include "model/transformer.h"

namespace pmt::compression {

/// Under this many prompt tokens "auto" stays exact: there is little to save, and much of it matters.
inline constexpr int kAutoExactTokens = 1000;
/// Under this many even an explicit mode stays exact.
inline constexpr int kCompressedTokensMin = 128;

struct CompressionRequest {
  Mode mode = Mode::kAuto;
  double ratio = 1;
  int prompt_tokens = 0;
  /// The prompt's; none: it can't be told apart. Then auto is query-agnostic, and query-aware takes the prompt's last
  /// tokens for it.
  std::optional<PromptQuestion> question = {};
  /// What was measured on this model; outlives what is made of the request. Null: nothing.
  const Quality* measured = nullptr;
};

/// Whether the prompt's question matters to the request: worth looking for.
bool wants_question(const CompressionRequest& request);

class PromptCompression {
 public:
  /// Exact: nothing to do.
  PromptCompression() = default;
  /// The mode that the request's comes to is mode().
  explicit PromptCompression(const CompressionRequest& request);

  Mode mode() const { return mode_; }
  const char* mode_name() const { return name_of(mode_); }
  /// Where the question was found: "at_end", "earlier" or "none".
  const char* question() const;
  /// Whoever serves it has no predictor: its tokens are scored without one. Before anything is read.
  void go_uncalibrated() { calibrated_ = false; }
  bool calibrated() const { return calibrated_; }
  /// By what its tokens are scored: "calibrated", "uncalibrated", or "" where it is exact.
  const char* scores() const { return !active() ? "" : calibrated_ ? "calibrated" : "uncalibrated"; }
  /// The measured tasks that it keeps, and those of the exact cache. Nothing was measured without a calibration.
  std::vector<std::string> safe_for() const {
    return calibrated_ ? safe_tasks(mode_) : std::vector<std::string>();
  }
  std::vector<std::string> safe_for_exact() const { return safe_tasks(Mode::kExact); }
  double ratio() const { return ratio_; }
  bool active() const { return mode_ != Mode::kExact; }

  /// How many of the `pending` tokens after the first `read` one span may hold.
  int span_tokens(const kv_cache::SequenceKv& sequence, int pending) const;
  /// Whether a span that starts after `read` tokens belongs to the question or the turn. One such span a
  /// batch.
  bool scores_question(const kv_cache::SequenceKv& sequence) const;
  /// Asks for this span's scores and queries. `predictor`: may be null where it isn't calibrated.
  void observe(model::BatchSpan& span, const model::KvPredictor* predictor, const model::Hparams& hparams);
  /// Of a prompt that stays exact: asks for this span's guesses, so that they can lie beside its prefix.
  void guess(model::BatchSpan& span, const model::KvPredictor& predictor);
  /// Those of the whole prompt, once it has been read; null where they weren't all made.
  kv_cache::Guessed guessed();
  /// Whether an exact prefix needs its tokens' guesses beside it, to be gone on from.
  bool needs_guesses() const { return calibrated_; }
  /// How many tokens of an exact prefix it can go on from: a question is read for itself.
  int prefix_tokens_max() const { return std::min(prompt_tokens_ - 1, place_.first); }
  /// The sequence goes on from a prefix of `tokens`, of which these are the guesses, or null.
  void take(const kv_cache::Guessed& known, int tokens);

  /// Whether the prompt has been read and the sequence is still exact.
  bool due(const kv_cache::SequenceKv& sequence) const;
  /// Whether compress() reads a batch of its own: the transformer's last logits are gone then.
  bool reads_more() const { return queries_.values.empty(); }
  /// How many tokens that may be, beside the asides' turns.
  int more_tokens(const Asides& asides) const;
  /// Cuts the sequence, which has read `prompt`, down. Errors: kUnavailable, and it is still exact.
  base::Status compress(kv_cache::SequenceKv& sequence, std::span<const std::int32_t> prompt,
                        const Asides& asides, model::Transformer& transformer, kv_cache::PagePool& pool);

 private:
  /// On forks that are dropped: what the compression needs beside the prompt's own reading.
  void read_more(const kv_cache::SequenceKv& sequence, std::span<const std::int32_t> prompt,
                 const Asides& asides, model::Transformer& transformer, kv_cache::PagePool& pool);
  void combine_scores();
  std::vector<std::string> safe_tasks(Mode mode) const {
    return measured_ == nullptr ? std::vector<std::string>() : measured_->safe_tasks(mode, ratio_);
  }
  void ensure_scores(const kv_cache::KvShape& shape);
  std::vector<std::int32_t> asked_again(std::span<const std::int32_t> prompt) const;

  Mode mode_ = Mode::kExact;
  double ratio_ = 1;
  int prompt_tokens_ = 0;
  const Quality* measured_ = nullptr;
  std::optional<PromptQuestion> found_;
  bool calibrated_ = true;
  bool again_ = false;                  // the question is to be read once more, behind the prompt
  QuestionPlace place_;                 // read in spans of its own; else all of the prompt is before it
  std::optional<QuestionPlace> asked_;  // by whose scores it was combined
  kv_cache::ScoreBuffer scores_;        // of every prompt token: guessed, and combined once scored_
  kv_cache::ScoreBuffer by_question_;   // of those before the turn
  kv_cache::ReferenceQueries queries_;
  int guessed_to_ = 0;         // of an exact prompt: so many of its first tokens; -1: a prefix had none
  kv_cache::Guessed guessed_;  // of the whole prompt
  bool scored_ = false;        // a choice that is read again is cut by the same scores
};

}  // namespace pmt::compression
