// Whether a model writes programs, and queries about records, that `rlm` can rely on: measured, by having it write some
// about contexts of ours whose answers are known (trial_questions.h). A root that writes programs looks into a text by
// itself; for the others a program of ours does. One that writes queries is asked for them where a table tells.
//
// A trial is ten questions, asked through the engine. Right is an answer that executed code, in six turns at most, or a
// query of the model gave and that is the known one. It ends as soon as the rest can't change what it says.
// Thread-safety: any thread. Errors: the root's, the sandbox's, kCancelled. Cost: for a model on two cores minutes; for
// one elsewhere at most eighty short calls.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "rlm/run.h"
#include "rlm/trial_questions.h"

namespace pmt::rlm {

inline constexpr int kTrialRightMin = 7;  // of kTrialQuestions, to be relied on
inline constexpr std::uint64_t kTrialSeed = 1;

struct TrialOptions {
  std::uint64_t seed = kTrialSeed;
  std::function<void(const std::string&)> on_progress = [](const std::string&) {};
  base::CancelToken cancel = {};
};

/// Requires: a sandbox that outlives it.
base::Result<RootTrials> try_root(Model root, sandbox::Sandbox& sandbox, const base::Clock& clock,
                                  const TrialOptions& options);

}  // namespace pmt::rlm
