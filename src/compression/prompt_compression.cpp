#include "compression/prompt_compression.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "compression/encode.h"
#include "compression/plan.h"

namespace pmt::compression {
namespace {

constexpr int kQuestionTokens = 32;  // and the turn's

Mode resolve(Mode mode, double ratio, int prompt_tokens) {
  if (ratio <= 1 || prompt_tokens < kCompressedTokensMin) return Mode::kExact;
  if (mode != Mode::kAuto) return mode;
  // Where a request's question begins isn't known: its last tokens, which query-aware takes for it, may be
  // half of something else. Asked over HTTP, query-agnostic keeps as much, at a higher ratio
  // (docs/kv-cache.md).
  return prompt_tokens < kAutoExactTokens ? Mode::kExact : Mode::kQueryAgnostic;
}

}  // namespace

PromptCompression::PromptCompression(Mode mode, double ratio, int prompt_tokens)
    : mode_(resolve(mode, ratio, prompt_tokens)),
      ratio_(active() ? ratio : 1),
      prompt_tokens_(prompt_tokens),
      question_(mode_ == Mode::kQueryAware ? question_from(prompt_tokens - kQuestionTokens, prompt_tokens)
                                           : QuestionPlace{prompt_tokens, prompt_tokens, prompt_tokens}) {}

int PromptCompression::span_tokens(const kv_cache::SequenceKv& sequence, int pending) const {
  if (!active() || sequence.compact()) return pending;
  const int read = sequence.tokens();
  const bool turn_apart = ratio_ > kQuestionRatioMax;
  const int end = read < question_.first               ? question_.first
                  : turn_apart && read < question_.end ? question_.end
                                                       : prompt_tokens_;
  return std::min(pending, end - read);
}

bool PromptCompression::scores_question(const kv_cache::SequenceKv& sequence) const {
  return mode_ == Mode::kQueryAware && !scored_ && sequence.tokens() >= question_.first;
}

void PromptCompression::observe(model::BatchSpan& span, const model::KvPredictor& predictor,
                                const model::Hparams& hparams) {
  const kv_cache::SequenceKv& sequence = *span.sequence;
  if (!active() || scored_ || sequence.compact()) return;
  if (scores_.values.empty()) {
    scores_ = zero_scores(sequence.shape(), prompt_tokens_);
    if (mode_ == Mode::kQueryAware) {
      by_question_ = zero_scores(sequence.shape(), question_.end);
      queries_ = room_for_queries(hparams, question_.first, prompt_tokens_ - question_.first);
    }
  }
  span.predictor = &predictor;
  span.predicted = &scores_;
  if (!scores_question(sequence)) return;
  span.scores = &by_question_;
  span.scored_tokens = sequence.tokens() < question_.end ? question_.first : question_.end;
  span.queries = &queries_;
}

bool PromptCompression::due(const kv_cache::SequenceKv& sequence) const {
  return active() && !sequence.compact() && sequence.tokens() == prompt_tokens_;
}

base::Status PromptCompression::compress(kv_cache::SequenceKv& sequence, std::span<const std::int32_t> prompt,
                                         const Asides& asides, model::Transformer& transformer,
                                         kv_cache::PagePool& pool) {
  CHECK(due(sequence));
  if (reads_more()) {
    // A full pool may have no room for it: then nothing is summed up.
    if (auto queries = queries_of_repeating(transformer, pool, sequence, prompt, asides.repeat))
      queries_ = std::move(*queries);
    if (!scored_) {  // nor for these: then the guess decides alone
      if (auto by_turns = score_by_turns(transformer, pool, sequence, asides.turns))
        weigh_by_turns(scores_, std::move(*by_turns), prompt_tokens_);
    }
  }
  const bool aware = mode_ == Mode::kQueryAware;
  if (!scored_ && aware) scores_ = combine(scores_, std::move(by_question_), question_, ratio_);
  scored_ = true;
  const Plan what = plan(scores_, sequence.shape(),
                         {.ratio = ratio_,
                          .tokens = prompt_tokens_,
                          .question = aware ? std::optional(question_) : std::nullopt});
  return sequence.adopt(
      encode(sequence, pool, what,
             {.threads = transformer.threads(), .queries = queries_.values.empty() ? nullptr : &queries_}));
}

}  // namespace pmt::compression
