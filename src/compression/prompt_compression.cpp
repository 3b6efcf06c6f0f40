#include "compression/prompt_compression.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "compression/encode.h"
#include "compression/plan.h"

namespace pmt::compression {
namespace {

constexpr int kPromptEnd = 32;  // taken for question and turn where query-aware is asked and none is found

bool is_compressed(const CompressionRequest& request) {
  return request.mode != Mode::kExact && request.ratio > 1 && request.prompt_tokens >= kCompressedTokensMin;
}

Mode resolve(const CompressionRequest& request) {
  if (!is_compressed(request)) return Mode::kExact;
  if (request.mode != Mode::kAuto) return request.mode;
  if (request.prompt_tokens < kAutoExactTokens) return Mode::kExact;
  if (!request.question || request.measured == nullptr) return Mode::kQueryAgnostic;
  return request.measured->better(request.ratio, request.prompt_tokens);
}

/// What is read in spans of its own: a question that ends the prompt.
QuestionPlace place_of(Mode mode, const CompressionRequest& request) {
  const int tokens = request.prompt_tokens;
  const QuestionPlace none{tokens, tokens, tokens};
  if (mode != Mode::kQueryAware) return none;
  if (!request.question) return question_from(tokens - kPromptEnd, tokens);
  const PromptQuestion& found = *request.question;
  if (!found.at_end) return none;
  // A short turn's queries are too few to score the question by.
  return {found.first, std::max(found.first, std::min(found.tail, tokens - kPromptEndTokens)), tokens};
}

}  // namespace

bool wants_question(const CompressionRequest& request) {
  return is_compressed(request) && request.mode != Mode::kQueryAgnostic;
}

PromptCompression::PromptCompression(const CompressionRequest& request)
    : mode_(resolve(request)),
      ratio_(active() ? request.ratio : 1),
      prompt_tokens_(request.prompt_tokens),
      measured_(request.measured),
      found_(request.question),
      again_(mode_ == Mode::kQueryAware && found_ && !found_->at_end),
      place_(place_of(mode_, request)) {}

const char* PromptCompression::question() const {
  if (!found_) return "none";
  return found_->at_end ? "at_end" : "earlier";
}

int PromptCompression::span_tokens(const kv_cache::SequenceKv& sequence, int pending) const {
  if (!active() || sequence.compact()) return pending;
  const int read = sequence.tokens();
  const bool turn_apart = ratio_ > kQuestionRatioMax;
  const int end = read < place_.first               ? place_.first
                  : turn_apart && read < place_.end ? place_.end
                                                    : prompt_tokens_;
  return std::min(pending, end - read);
}

bool PromptCompression::scores_question(const kv_cache::SequenceKv& sequence) const {
  return mode_ == Mode::kQueryAware && !again_ && !scored_ && sequence.tokens() >= place_.first;
}

void PromptCompression::observe(model::BatchSpan& span, const model::KvPredictor* predictor,
                                const model::Hparams& hparams) {
  const kv_cache::SequenceKv& sequence = *span.sequence;
  if (!active() || scored_ || sequence.compact()) return;
  ensure_scores(sequence.shape());
  if (mode_ == Mode::kQueryAware && !again_ && by_question_.values.empty()) {
    by_question_ = zero_scores(sequence.shape(), place_.end);
    queries_ = room_for_queries(hparams, place_.first, prompt_tokens_ - place_.first);
  }
  if (calibrated_) {
    CHECK(predictor != nullptr);
    span.predictor = predictor;
    span.predicted = &scores_;
  }
  if (!scores_question(sequence)) return;
  span.scores = &by_question_;
  span.scored_tokens = sequence.tokens() < place_.end ? place_.first : place_.end;
  span.queries = &queries_;
}

void PromptCompression::ensure_scores(const kv_cache::KvShape& shape) {
  if (scores_.values.empty()) scores_ = zero_scores(shape, prompt_tokens_);
}

/// Without gaps: the predictor may have come while the prompt was being read.
void PromptCompression::guess(model::BatchSpan& span, const model::KvPredictor& predictor) {
  const int end = span.sequence->tokens() + static_cast<int>(span.tokens.size());
  if (guessed_ != nullptr || span.sequence->tokens() != guessed_to_ || end > prompt_tokens_) return;
  ensure_scores(span.sequence->shape());
  span.predictor = &predictor;
  span.predicted = &scores_;
  guessed_to_ = end;
}

kv_cache::Guessed PromptCompression::guessed() {
  if (!active() && guessed_ == nullptr && guessed_to_ == prompt_tokens_ && !scores_.values.empty()) {
    guessed_ = std::make_shared<const kv_cache::GuessedScores>(
        kv_cache::GuessedScores{std::exchange(scores_, {}), prompt_tokens_});
  }
  return guessed_;
}

void PromptCompression::take(const kv_cache::Guessed& known, int tokens) {
  if (!calibrated_) return;
  const bool all = known != nullptr && known->tokens >= tokens;
  guessed_to_ = all ? tokens : -1;
  if (!all) return;
  const std::size_t stride = kv_cache::ScoreBuffer::stride_for(prompt_tokens_);
  const std::size_t tables = known->scores.values.size() / known->scores.stride;
  scores_ = {std::vector<float>(tables * stride), stride};
  for (std::size_t table = 0; table < tables; ++table) {
    std::copy_n(known->scores.values.data() + table * known->scores.stride, tokens,
                scores_.values.data() + table * stride);
  }
}

bool PromptCompression::due(const kv_cache::SequenceKv& sequence) const {
  return active() && !sequence.compact() && sequence.tokens() == prompt_tokens_;
}

int PromptCompression::more_tokens(const Asides& asides) const {
  if (!again_) return repeating_tokens(asides.repeat);
  return found_->end - found_->first + prompt_tokens_ - found_->tail;
}

std::vector<std::int32_t> PromptCompression::asked_again(std::span<const std::int32_t> prompt) const {
  const auto from = prompt.begin();
  std::vector<std::int32_t> out(from + found_->first, from + found_->end);
  out.insert(out.end(), from + found_->tail, prompt.end());
  return out;
}

/// A full pool may have no room for any of it: then nothing is summed up, and the guess decides alone.
void PromptCompression::read_more(const kv_cache::SequenceKv& sequence, std::span<const std::int32_t> prompt,
                                  const Asides& asides, model::Transformer& transformer,
                                  kv_cache::PagePool& pool) {
  if (again_) {
    kv_cache::ReferenceQueries queries;
    auto scores =
        score_by_asking_again(transformer, pool, sequence, asked_again(prompt), found_->tail, queries);
    if (!scores) return;
    queries_ = std::move(queries);
    by_question_ = std::move(*scores);
    return;
  }
  if (auto queries = queries_of_repeating(transformer, pool, sequence, prompt, asides.repeat))
    queries_ = std::move(*queries);
  if (scored_) return;
  if (auto by_turns = score_by_turns(transformer, pool, sequence, asides.turns))
    weigh_by_turns(scores_, std::move(*by_turns), prompt_tokens_);
}

void PromptCompression::combine_scores() {
  if (std::exchange(scored_, true) || by_question_.values.empty()) return;
  asked_ = again_ ? QuestionPlace{found_->tail, found_->tail, prompt_tokens_} : place_;
  scores_ = combine(scores_, std::move(by_question_), *asked_, ratio_);
}

base::Status PromptCompression::compress(kv_cache::SequenceKv& sequence, std::span<const std::int32_t> prompt,
                                         const Asides& asides, model::Transformer& transformer,
                                         kv_cache::PagePool& pool) {
  CHECK(due(sequence));
  if (!calibrated_ && !scored_) scores_ = score_by_values(sequence, pool);
  if (reads_more()) read_more(sequence, prompt, asides, transformer, pool);
  combine_scores();
  const Plan what =
      plan(scores_, sequence.shape(), {.ratio = ratio_, .tokens = prompt_tokens_, .question = asked_});
  return sequence.adopt(
      encode(sequence, pool, what,
             {.threads = transformer.threads(), .queries = queries_.values.empty() ? nullptr : &queries_}));
}

}  // namespace pmt::compression
