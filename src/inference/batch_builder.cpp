#include "inference/batch_builder.h"

#include <algorithm>
#include <utility>

namespace pmt::inference {
namespace {

/// Prompt tokens read in a step that also carries other requests' next tokens: a bigger chunk reads prompts
/// faster, and makes those who are being answered wait longer for their next token.
constexpr int kBusyChunkTokens = 128;

class BatchBuilder {
 public:
  BatchBuilder(std::span<const ChoiceView> choices, const BatchLimits& limits)
      : choices_(choices),
        suspect_(std::find_if(choices.begin(), choices.end(), [](const auto& each) { return each.suspect; })),
        limits_(limits) {}

  std::vector<ChosenSpan> build() {
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      const ChoiceView& choice = choices_[i];
      if (takes_part(choice) && choice.unread == 1 && !must_wait(choice))
        spans_.push_back({i, 1 + choice.drafted, true});
    }
    budget_ = spans_.empty() ? limits_.prefill_chunk_tokens
                             : std::min(kBusyChunkTokens, limits_.prefill_chunk_tokens);
    scored_budget_ = limits_.scored_rows_max;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      if (takes_part(choices_[i]) && choices_[i].unread != 1) add_prompt(i);
    }
    return std::move(spans_);
  }

 private:
  bool takes_part(const ChoiceView& choice) const {
    if (suspect_ != choices_.end() && choice.job != suspect_->job) return false;
    return choice.prompt_shared || choice.generation == 0;
  }
  /// True for all that score a question but the first that asks.
  bool must_wait(const ChoiceView& choice) {
    return choice.scores_question && std::exchange(question_scored_, true);
  }
  void add_prompt(std::size_t i) {
    const ChoiceView& choice = choices_[i];
    if (budget_ == 0 || (choice.scores_prompt && scored_budget_ == 0) || must_wait(choice)) return;
    int tokens = std::min(choice.span_tokens_max, budget_);
    if (choice.scores_prompt) {
      tokens = std::min(tokens, scored_budget_);
      scored_budget_ -= tokens;
    }
    budget_ -= tokens;
    spans_.push_back({i, tokens, tokens == choice.unread});
  }

  const std::span<const ChoiceView> choices_;
  const std::span<const ChoiceView>::iterator suspect_;  // the oldest such job's first choice
  const BatchLimits limits_;
  std::vector<ChosenSpan> spans_;
  int budget_ = 0;         // prompt tokens
  int scored_budget_ = 0;  // rows
  bool question_scored_ = false;
};

}  // namespace

std::vector<ChosenSpan> choose_spans(std::span<const ChoiceView> choices, const BatchLimits& limits) {
  return BatchBuilder(choices, limits).build();
}

}  // namespace pmt::inference
