// Compression while decoding: what a sequence goes on with past its prompt is cut to the ratio as it ages (note 0050).
//
// A sequence's last `recent_tokens` stay as they were written, a byte an element. Whenever kSliceTokens more lie behind
// them, the oldest so many are coded in compact pages, of which each table keeps its share; up to a ratio of 4 that is all
// of them. An exact sequence, whose prompt was too short to be compressed, is coded as a whole first, once it is longer
// than its window.
//
// When that happens depends on positions only: no span reads past one (span_tokens). So the same tokens give the same
// bits whatever is drafted, batched or read again.
// Thread-safety: the thread that owns the sequence and the pool. Errors: kUnavailable: the pool is full, the sequence is
// as it was. Cost: 40 us a token of 90 tables of 64 dimensions on two threads, a slice at a time; scores are those that
// the calibration predicts, a product of the attention input and a vector for each table.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "compression/mode.h"
#include "compression/plan.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"
#include "model/transformer.h"

namespace pmt::compression {

/// Tokens that are coded at once.
inline constexpr int kSliceTokens = 128;

struct DecodingOptions {
  double ratio = 1;  // under 4 it is off
  int recent_tokens = kRecentTokens;
  int prompt_tokens = 0;
  bool codes_exact = true;  // false: a sequence that is exact stays so, since others share its pages
  bool scored = true;       // false: the model has no calibration, and nothing is evicted
  bool on() const { return ratio >= 4; }
};

/// The most tokens that a sequence of these options holds behind the coded ones.
constexpr int uncoded_tokens_max(const DecodingOptions& options) {
  return options.recent_tokens + kSliceTokens;
}

/// A slice's part of a sequence, coded: for SequenceKv::compact_tail. `kept` as choose_coded gives them, of the oldest
/// `tokens` of recent(). The same bytes with any number of threads.
kv_cache::CompactedTail code_tail(const kv_cache::SequenceKv& sequence, const kv_cache::PagePool& pool,
                                  int tokens, const std::vector<std::vector<std::int32_t>>& kept,
                                  int threads);

/// All of an exact sequence but its sinks and its last `recent_tokens`, coded, nothing evicted; local tables keep
/// their window. Requires: a page's worth of tokens besides those.
Plan plan_whole(const kv_cache::SequenceKv& exact, int recent_tokens);

/// Of one sequence.
class DecodingCompression {
 public:
  /// Off.
  DecodingCompression() = default;
  explicit DecodingCompression(const DecodingOptions& options) : options_(options) {}

  bool on() const { return options_.on() && !full_; }
  bool wants_scores() const { return on() && options_.ratio > 4 && options_.scored; }
  /// How many of the `pending` tokens after those read one span may hold; at least one.
  int span_tokens(const kv_cache::SequenceKv& sequence, int pending) const;
  /// Asks for the scores of a span of a compact sequence. `predictor`: null where the model isn't calibrated.
  void observe(model::BatchSpan& span, const model::KvPredictor* predictor);
  bool due(const kv_cache::SequenceKv& sequence) const;
  /// What is due. Returns how many tokens were coded or evicted.
  base::Result<int> compress(kv_cache::SequenceKv& sequence, const kv_cache::PagePool& pool, int threads);
  /// The pool stays full: what is written from now on stays as it is.
  void give_up() { full_ = true; }

 private:
  int due_at(const kv_cache::SequenceKv& sequence) const;
  void move_scores(const kv_cache::SequenceKv& sequence);
  kv_cache::ScoreBuffer scores_of_slice(const kv_cache::SequenceKv& sequence);

  DecodingOptions options_;
  bool full_ = false;
  kv_cache::ScoreBuffer scores_;  // of the tokens from scores_first_ on; kUnknown: nobody asked
  int scores_first_ = 0;
};

}  // namespace pmt::compression
