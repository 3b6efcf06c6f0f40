// [permutation]: PermutationEngine's cascade (permutation/cascade.h).
//
//   [permutation]
//   student = "my-model"          # a local model; unset: the first one
//   teacher = "provider/model"    # an upstream's or a local model; unset: none, the student answers alone
//   escalation = "confidence"     # never, always, confidence: when the teacher is asked
//   confidence_min = 0.6          # the student's mean token probability, below which it is
//   probe_tokens = 24             # the student is judged by its first so many tokens; 0: by its whole answer
//   student_probability_min = 0   # of being right, by the question's difficulty: below, the teacher at once
//   agreement_samples = 0         # answers drawn of an unsure student: agreement may save it
//   explore = 0                   # share of questions asked of both, to learn how able the student is
//   synthesis = false             # the teacher writes one answer out of both drafts
//   kv_ratio = 0                  # the student's KV compression; 0: the model's own
//
// Thread-safety: plain data.
#pragma once

#include <string>

#include <toml++/toml.h>

#include "base/result.h"
#include "permutation/cascade.h"

namespace pmt::app {

struct EngineConfig {
  std::string student;
  std::string teacher;
  permutation::CascadeOptions cascade;  // all but the models
};

/// Errors: kInvalidArgument with file, line, key.
base::Result<EngineConfig> read_engine(const toml::table& table, const std::string& file);

}  // namespace pmt::app
