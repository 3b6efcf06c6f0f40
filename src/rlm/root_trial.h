// Whether a model writes programs that `rlm` can rely on: measured, by having it write some about contexts of ours whose
// answers are known. A model that does is a root that writes its own program; for the others a program of ours looks
// into the context.
//
// A trial is ten questions, two of each of five kinds: how many notes mention something, what numbers in them add up to,
// who wrote the most notes, how many people wrote any, and a number that stands once in a text no window holds. Each is
// asked through the engine, with a sandbox, in six turns at most. Right is an answer that executed code gave and that is
// the known one. It ends as soon as the rest can't change what it says.
// Thread-safety: any thread. Errors: the root's, the sandbox's, kCancelled. Cost: for a model on two cores minutes; for
// one elsewhere at most sixty short calls.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "rlm/run.h"

namespace pmt::rlm {

inline constexpr int kTrialQuestions = 10;
inline constexpr int kTrialRightMin = 7;  // of them, to be relied on
inline constexpr std::uint64_t kTrialSeed = 1;

struct TrialQuestion {
  std::string kind, question;
  std::vector<std::string> context;
  std::string answer;
};

/// The same ones for the same seed.
std::vector<TrialQuestion> trial_questions(std::uint64_t seed);

/// Whether a text says the known answer, and at most one other number or name beside it.
bool says(const std::string& text, const TrialQuestion& asked);

struct TrialOptions {
  std::uint64_t seed = kTrialSeed;
  std::function<void(const std::string&)> on_progress = [](const std::string&) {};
  base::CancelToken cancel = {};
};

/// Requires: a sandbox that outlives it.
base::Result<RootTrial> try_root(Model root, sandbox::Sandbox& sandbox, const base::Clock& clock,
                                 const TrialOptions& options);

}  // namespace pmt::rlm
