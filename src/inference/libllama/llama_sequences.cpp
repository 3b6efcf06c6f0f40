#include "inference/libllama/llama_sequences.h"

#include <utility>

#include "base/check.h"

namespace pmt::inference {

LlamaSequence::LlamaSequence(LlamaSequence&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      number_(other.number_),
      tokens_(std::exchange(other.tokens_, 0)),
      runs_(std::move(other.runs_)) {}

LlamaSequence& LlamaSequence::operator=(LlamaSequence&& other) noexcept {
  if (this == &other) return *this;
  close();
  owner_ = std::exchange(other.owner_, nullptr);
  number_ = other.number_;
  tokens_ = std::exchange(other.tokens_, 0);
  runs_ = std::move(other.runs_);
  return *this;
}

void LlamaSequence::read(int tokens) {
  CHECK(is_open());
  // What another sequence shares doesn't grow.
  if (runs_.empty() || runs_.back().use_count() > 1) runs_.push_back(std::make_shared<Run>(&owner_->taken_));
  runs_.back()->cells += tokens;
  owner_->taken_ += tokens;
  tokens_ += tokens;
}

void LlamaSequence::share(const LlamaSequence& other, int tokens) {
  CHECK(is_open() && tokens_ == 0 && tokens <= other.tokens_);
  owner_->context_->share(other.number_, number_, tokens);
  int covered = 0;
  for (const auto& run : other.runs_) {
    if (covered >= tokens) break;
    runs_.push_back(run);
    covered += run->cells;
  }
  tokens_ = tokens;
}

void LlamaSequence::close() {
  if (!is_open()) return;
  owner_->context_->forget(number_);
  owner_->free_.push_back(number_);
  runs_.clear();
  tokens_ = 0;
  owner_ = nullptr;
}

std::int64_t LlamaSequence::cells_beside(std::set<const void*>& counted) const {
  std::int64_t cells = 0;
  for (const auto& run : runs_) {
    if (counted.insert(run.get()).second) cells += run->cells;
  }
  return cells;
}

LlamaSequences::LlamaSequences(LlamaContext& context) : context_(&context) {
  for (int number = context.options().sequences; number > 0; --number) free_.push_back(number - 1);
}

std::optional<LlamaSequence> LlamaSequences::open() {
  if (free_.empty()) return std::nullopt;
  const int number = free_.back();
  free_.pop_back();
  return LlamaSequence(*this, number);
}

}  // namespace pmt::inference
