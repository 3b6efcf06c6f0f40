// The sequences of a context: which of its numbers are taken, and how many of its cells.
//
// Cells are counted in runs. A run that several sequences share counts once, until the last of them has gone: so the
// count is never less than what libllama holds, and more only where a sequence that was shared in part has gone.
// Thread-safety: one thread at a time. A sequence goes before its context.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "inference/libllama/llama_context.h"

namespace pmt::inference {

class LlamaSequences;

/// A sequence of tokens in a context, or none. Forgotten by the context when it goes.
class LlamaSequence {
 public:
  LlamaSequence() = default;
  LlamaSequence(LlamaSequence&& other) noexcept;
  LlamaSequence& operator=(LlamaSequence&& other) noexcept;
  ~LlamaSequence() { close(); }

  bool is_open() const { return owner_ != nullptr; }
  int number() const { return number_; }
  /// That the context has read.
  int tokens() const { return tokens_; }
  /// The context has read so many more.
  void read(int tokens);
  /// Gets the first `tokens` of `other`. Requires: open, with nothing read.
  void share(const LlamaSequence& other, int tokens);
  void close();
  /// Its cells but those of `counted`, which gets its runs.
  std::int64_t cells_beside(std::set<const void*>& counted) const;

 private:
  friend class LlamaSequences;
  struct Run {
    std::int64_t* taken;  // the owner's
    int cells = 0;
    explicit Run(std::int64_t* of_owner) : taken(of_owner) {}
    ~Run() { *taken -= cells; }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
  };
  LlamaSequence(LlamaSequences& owner, int number) : owner_(&owner), number_(number) {}

  LlamaSequences* owner_ = nullptr;
  int number_ = 0;
  int tokens_ = 0;
  std::vector<std::shared_ptr<Run>> runs_;
};

class LlamaSequences {
 public:
  explicit LlamaSequences(LlamaContext& context);

  /// Null: all numbers are taken.
  std::optional<LlamaSequence> open();
  int numbers_free() const { return static_cast<int>(free_.size()); }
  std::int64_t cells_taken() const { return taken_; }
  std::int64_t cells_free() const { return context_->options().cells - taken_; }
  LlamaContext& context() { return *context_; }
  const LlamaContext& context() const { return *context_; }

 private:
  friend class LlamaSequence;
  LlamaContext* context_;
  std::vector<int> free_;
  std::int64_t taken_ = 0;
};

}  // namespace pmt::inference
