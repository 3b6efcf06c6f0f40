// Which tokens the next step reads: one span a choice, decided from a view of what runs. Pure.
//
// 1. Choices that have one token left to read (they are being answered) come first, with their drafts.
// 2. What is left of the step's budget goes to prompts, the oldest first; less of it where somebody is being
//    answered, who waits for the step's end.
// 3. Until a prompt has been read, the job's first choice reads it for all.
// 4. One span a batch scores a question (query-aware compression); whoever would be second waits for the next.
// 5. Rows whose logits tell of a prompt's own tokens (`echo` with `logprobs`) have a budget of their own.
// 6. While a job is suspect (a step with it threw), the oldest suspect one steps alone.
// Thread-safety: any thread. Cost: two passes over the choices.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace pmt::inference {

/// A choice that isn't finished, as far as a batch depends on it.
struct ChoiceView {
  std::size_t job = 0;         // the running job's place, oldest first
  std::size_t generation = 0;  // the choice's place in its job
  int unread = 0;              // tokens, without drafts; >= 1
  int drafted = 0;             // tokens past those
  int span_tokens_max = 0;     // of the unread, that one span may hold
  bool prompt_shared = false;  // its job's: every choice reads for itself
  bool suspect = false;        // its job's
  bool scores_question = false;
  bool scores_prompt = false;
};

struct BatchLimits {
  int prefill_chunk_tokens = 512;
  int scored_rows_max = 1;  // of a step, over all prompts that are scored; PromptEcho::rows_max
};

/// The next tokens of one choice.
struct ChosenSpan {
  std::size_t choice = 0;  // its place in the view
  int tokens = 0;          // its drafts included
  bool samples = false;    // the span reaches the choice's last token
  friend bool operator==(const ChosenSpan&, const ChosenSpan&) = default;
};

/// Those that are being answered first. Requires: `choices` in the order of their jobs. Empty only if they are.
std::vector<ChosenSpan> choose_spans(std::span<const ChoiceView> choices, const BatchLimits& limits);

}  // namespace pmt::inference
