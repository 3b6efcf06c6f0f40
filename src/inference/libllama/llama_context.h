// One context of libllama: its memory for keys and values (one type of cell, shared by all sequences), or for
// states, and the batches that run over it.
//
// A context is never asked what it would abort on: a batch stays within its tokens, rows and sequences, and positions
// follow one another. Thread-safety: one thread at a time; up to `threads` compute inside. Errors: decode throws what
// libllama calls fatal, and the sequences of that batch may be half-read then. Cost: its memory is taken whole when it
// is made.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <llama.h>

#include "base/result.h"
#include "inference/local_model.h"

namespace pmt::inference {

struct LlamaContextOptions {
  CellType type = CellType::kF16;
  int cells = 0;         // tokens that fit, of all sequences together
  int sequences = 0;     // at once
  int batch_tokens = 0;  // of one batch
  int rows = 0;          // of logits of one batch
  int threads = 1;
};

/// As libllama takes them.
llama_context_params params_of(const LlamaContextOptions& options);

/// The next tokens of one sequence.
struct LlamaSpan {
  int sequence = 0;
  int position = 0;  // of the first of them
  std::span<const std::int32_t> tokens;
  std::vector<int> output_rows;  // of them, ascending, whose logits are wanted
};

class LlamaContext {
 public:
  /// Errors: kInvalidArgument, libllama can't run this model so (a head that the type's blocks don't divide, no
  /// memory), with its reason. `model` outlives the context.
  static base::Result<std::unique_ptr<LlamaContext>> create(llama_model* model,
                                                            const LlamaContextOptions& options);
  ~LlamaContext();
  LlamaContext(const LlamaContext&) = delete;
  LlamaContext& operator=(const LlamaContext&) = delete;

  const LlamaContextOptions& options() const { return options_; }
  /// Of keys, values and states.
  std::int64_t memory_bytes() const { return memory_bytes_; }

  /// Reads them. False: there is no room for them, and nothing has changed. `threads`: for this batch.
  bool decode(std::span<const LlamaSpan> batch, int threads);
  /// Of the last batch: the wanted rows one after the other, span by span. Valid until the next batch.
  std::span<const float> row(std::size_t index) const;
  std::size_t rows() const { return output_tokens_.size(); }

  /// `to`, which is empty, gets the first `tokens` of `from`: cells are shared, a state is whole or not at all.
  void share(int from, int to, int tokens);
  /// The first token that the sequence still has all later ones of: more than 0 where a window has passed by.
  int first_held(int sequence) const;
  void forget(int sequence);

 private:
  LlamaContext(const LlamaContextOptions& options, llama_context* context);

  const LlamaContextOptions options_;
  struct FreeContext {
    void operator()(llama_context* context) const { llama_free(context); }
  };
  const std::unique_ptr<llama_context, FreeContext> context_;
  std::int64_t memory_bytes_ = 0;
  std::size_t vocabulary_ = 0;
  llama_batch batch_{};
  std::vector<std::int32_t> output_tokens_;  // of the last batch: the places in it that have a row
};

}  // namespace pmt::inference
