// Rows of logits become answers: each row is sampled, what may be shown is sent, drafts are settled, and the choices
// of a job part where its prompt ends.
// Thread-safety: the scheduler's thread. Errors: what goes wrong with one job's rows ends that job.
#pragma once

#include <span>
#include <vector>

#include "inference/batch.h"
#include "inference/job_reports.h"
#include "inference/prefix_reuse.h"
#include "inference/speculation.h"

namespace pmt::inference {

class Answers {
 public:
  /// What it works with; all of it outlives it.
  struct Around {
    std::size_t vocabulary;  // floats of a row
    PrefixReuse& prefixes;
    Speculation& speculation;
    JobReports& reports;
  };
  explicit Answers(const Around& around) : around_(around) {}

  /// `logits`: [rows of all parts, vocabulary], part by part: those of the prompt's tokens, then those to sample.
  void distribute(const std::vector<Part>& parts, std::span<const float> logits);

 private:
  void sample_rows(const Part& part, std::span<const float> logits);
  void fork_prompt(Job& job, std::span<const float> logits);

  const Around around_;
};

}  // namespace pmt::inference
