// Sequences that are kept after their answers, so that a prompt which begins alike needn't be read again: the cells
// are shared, nothing is copied. The one that was used longest ago goes first.
//
// A model with states goes on from the whole of a sequence or not at all; one with a window only where the window of
// the place is still held. Thread-safety: one thread at a time. Cost: a look at every kept sequence's tokens.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <vector>

#include "inference/libllama/llama_sequences.h"

namespace pmt::inference {

/// A sequence that a prompt may go on from, and what it has read.
struct LlamaPrefix {
  const LlamaSequence* sequence;
  std::span<const std::int32_t> tokens;
};

class LlamaPrefixes {
 public:
  struct Options {
    std::int64_t cells_max = 0;  // 0: none are kept
    bool states = false;         // the model's sequences are (also) states
    int window = 0;              // the model's local layers see so many tokens; 0: it has none
  };
  LlamaPrefixes(const LlamaContext& context, const Options& options)
      : context_(&context), options_(options) {}

  bool on() const { return options_.cells_max > 0; }
  /// How many tokens of `prompt`, all but its last at most, can go on from `prefix`; 0: too few to be worth it.
  int usable(std::span<const std::int32_t> prompt, const LlamaPrefix& prefix) const;
  /// Shares the longest usable beginning, of those kept in this scope, with `into`, unless `known` tokens are no
  /// less. Returns its tokens, 0 for none.
  int share(std::span<const std::int32_t> prompt, const std::string& scope, int known, LlamaSequence& into);
  /// `tokens`: that the sequence has read.
  void keep(std::vector<std::int32_t> tokens, const std::string& scope, LlamaSequence sequence);
  /// False: none is kept.
  bool give_up_oldest();

  int count() const { return static_cast<int>(kept_.size()); }
  /// Taken by them; those that they share count once.
  std::int64_t cells() const;

 private:
  struct Kept {
    std::vector<std::int32_t> tokens;
    std::string scope;
    LlamaSequence sequence;
  };

  const LlamaContext* context_;
  const Options options_;
  std::list<Kept> kept_;  // used last first
};

}  // namespace pmt::inference
