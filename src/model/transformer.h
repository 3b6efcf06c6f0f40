// The forward pass of a model of one of our architectures over paged keys and values.
//
// The graph is ours: ggml's operators for embedding, norms, matmuls and the gate, and two of our own a layer
// (note 0003): one rotates Q and K and appends K and V to the sequences' pages, the other attends over the
// pages. What a page holds is between kv_cache and kernels; the graph doesn't change with it. Thread-safety:
// one thread at a time; up to `threads` compute inside (graph_runner.h). Cost: activations of one batch (about
// 40 KB a row for a 135M model) besides weights and pages.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/key_turn.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"
#include "model/hparams.h"

namespace pmt::model {

/// A linear guess, from a layer's attention input, at how much a token's keys and values will matter: the
/// logarithm of its score in each KV head (note 0005).
struct KvPredictor {
  int width = 0;               // of the attention input
  std::vector<float> weights;  // [layers * kv_heads, width + 1], the constant last
};

/// New tokens of one sequence.
struct BatchSpan {
  kv_cache::SequenceKv* sequence = nullptr;
  std::span<const std::int32_t> tokens;
  /// Rows of `tokens` (ascending) whose logits are wanted.
  std::vector<int> output_rows;
  /// Where set: scores->values[table][t] = max(itself, the greatest probability that one of these tokens'
  /// queries gives token t), for t < scored_tokens, for which it has room. One span of a batch; an exact
  /// sequence.
  kv_cache::ScoreBuffer* scores = nullptr;
  int scored_tokens = 0;
  /// Where set: predicted->values[table][t] = exp(the predictor's guess) for the new token at position
  /// predicted_first + t; the buffer has room for it.
  const KvPredictor* predictor = nullptr;
  kv_cache::ScoreBuffer* predicted = nullptr;
  int predicted_first = 0;  // the position of the buffer's first token
  /// Where set: receives the queries of those new tokens that it has room for; it is allocated.
  kv_cache::ReferenceQueries* queries = nullptr;
  /// Where set: receives each layer's attention input, [layers, tokens of this span, hidden].
  std::vector<float>* attention_inputs = nullptr;
};

class Transformer {
 public:
  /// Asked before any weight is read, with the bytes that they take; may refuse.
  using Admit = std::function<base::Status(const Hparams& hparams, std::int64_t weight_bytes)>;

  /// `on_progress` as Weights::load's. Errors: as GgufFile::open, read_hparams and Weights::load, and
  /// whatever `admit` says.
  static base::Result<std::unique_ptr<Transformer>> load(const std::string& path, int threads,
                                                         const std::function<bool(float)>& on_progress,
                                                         const Admit& admit = {});
  virtual ~Transformer() = default;

  virtual const Hparams& hparams() const = 0;
  /// For keys of layers that aren't local, to stand so many tokens later.
  virtual kv_cache::KeyTurn key_turn(int tokens) const = 0;
  virtual int threads() const = 0;
  virtual std::int64_t parameters() const = 0;
  virtual std::int64_t file_bytes() const = 0;

  /// The pages that this model's sequences live in.
  virtual base::Result<std::unique_ptr<kv_cache::PagePool>> make_pool(std::size_t bytes_max) const = 0;

  /// Runs all spans in one batch, appends their tokens to their sequences, and returns the logits of the
  /// wanted rows, span by span: [outputs, vocabulary], valid until the next call. A sequence may occur once.
  /// Errors: kInvalidArgument (a token outside the vocabulary), kUnavailable (the pool is full): in both
  /// cases no sequence has changed.
  virtual base::Result<std::span<const float>> forward(kv_cache::PagePool& pool,
                                                       std::span<BatchSpan> batch) = 0;
};

}  // namespace pmt::model
