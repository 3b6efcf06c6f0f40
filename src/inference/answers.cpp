#include "inference/answers.h"

#include <utility>

namespace pmt::inference {

void Answers::distribute(const std::vector<Part>& parts, std::span<const float> logits) {
  const std::size_t width = around_.vocabulary;
  std::size_t at = 0;
  for (const Part& part : parts) {
    const auto scored = logits.subspan(at, part.scored_rows * width);
    const auto sampled = logits.subspan(at + scored.size(), part.rows * width);
    at += scored.size() + sampled.size();
    if (!scored.empty() && part.lives())
      around_.reports.for_job(*part.job, [&] { part.job->echo.add(scored); });
    if (part.samples && part.lives()) around_.reports.for_job(*part.job, [&] { sample_rows(part, sampled); });
  }
}

/// `logits`: [rows of the part, vocabulary].
void Answers::sample_rows(const Part& part, std::span<const float> logits) {
  const std::size_t width = around_.vocabulary;
  Job& job = *part.job;
  PagedGeneration& generation = part.choice();
  for (std::size_t row = 0; row < part.rows; ++row) {
    if (generation.finished() || !generation.came_true(static_cast<int>(row))) continue;
    const auto of_row = logits.subspan(row * width, width);
    if (generation.generated() == 0) around_.prefixes.remember(job, generation);
    if (!job.prompt_shared) fork_prompt(job, of_row);
    if (job.running.empty()) return;  // it failed
    around_.reports.write_token(job, generation, of_row);
    if (job.running.empty()) return;
  }
  if (part.rows > 1) around_.speculation.settle(job, generation);
}

void Answers::fork_prompt(Job& job, std::span<const float> logits) {
  job.prompt_shared = true;
  const kv_cache::SequenceKv::Held prompt = job.running[0].sequence().held();
  job.shared_bytes = prompt.full + prompt.side_tables;
  // Forked before the first choice goes on: its partial page is copied when one of them writes.
  for (std::size_t i = 1; i < job.running.size(); ++i) job.running[i].adopt(job.running[0].sequence().fork());
  for (std::size_t i = 1; i < job.running.size(); ++i)
    around_.reports.write_token(job, job.running[i], logits);
}

}  // namespace pmt::inference
