#include "inference/batch.h"

namespace pmt::inference {
namespace {

ChoiceView view_of(const Job& job, std::size_t place, std::size_t generation) {
  const PagedGeneration& choice = job.running[generation];
  const int unread = static_cast<int>(choice.pending().size()) - choice.drafted();
  return {.job = place,
          .generation = generation,
          .unread = unread,
          .drafted = choice.drafted(),
          .span_tokens_max = choice.decoding().span_tokens(
              choice.sequence(), job.compression.span_tokens(choice.sequence(), unread)),
          .prompt_shared = job.prompt_shared,
          .suspect = job.suspect,
          .scores_question = job.compression.scores_question(choice.sequence()),
          .scores_prompt = scores_prompt(job, generation)};
}

}  // namespace

std::vector<Part> choose_parts(const Jobs& running, const BatchLimits& limits) {
  std::vector<Job*> jobs;
  std::vector<ChoiceView> choices;
  for (const auto& job : running) {
    for (std::size_t i = 0; i < job->running.size(); ++i) choices.push_back(view_of(*job, jobs.size(), i));
    jobs.push_back(job.get());
  }
  std::vector<Part> parts;
  for (const ChosenSpan& span : choose_spans(choices, limits)) {
    const ChoiceView& choice = choices[span.choice];
    parts.push_back({jobs[choice.job], choice.generation, span.tokens, span.samples});
  }
  return parts;
}

model::BatchSpan span_of(Part& part) {
  PagedGeneration& choice = part.choice();
  model::BatchSpan span{
      &choice.sequence(), choice.pending().first(static_cast<std::size_t>(part.tokens)), {}};
  if (scores_prompt(*part.job, part.generation))
    span.output_rows = part.job->echo.rows_of_span(choice.sequence().tokens(), part.tokens);
  part.scored_rows = span.output_rows.size();
  for (int row = part.tokens - 1 - choice.drafted(); part.samples && row < part.tokens; ++row)
    span.output_rows.push_back(row);
  part.rows = span.output_rows.size() - part.scored_rows;
  return span;
}

}  // namespace pmt::inference
