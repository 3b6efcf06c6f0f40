// What all parts of one answer share: the models, the limits, the budget, who listens, and what is told at
// the end.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "rlm/asker.h"
#include "rlm/custom_tool.h"
#include "rlm/watch.h"
#include "sandbox/sandbox.h"

namespace pmt::rlm {

/// Where nothing was measured: a root of fewer parameters isn't let write programs, or queries.
inline constexpr std::int64_t kProgramsParameters = 2'000'000'000, kQueriesParameters = 300'000'000;

/// What root_trial.h measured, or else what its size makes us assume.
inline bool writes_no_programs(const Model& root) {
  if (root.trials) return !root.trials->programs.is_passed();
  return root.parameters > 0 && root.parameters < kProgramsParameters;
}
inline bool writes_no_queries(const Model& root) {
  if (root.trials) return !root.trials->queries.is_passed();
  return root.parameters > 0 && root.parameters < kQueriesParameters;
}

/// Why: "... wrote 2 of 6 trial programs right, and 7 of 10 are asked for".
std::string why_no_programs(const Model& root);
std::string why_no_queries(const Model& root);

struct Bounds {
  int depth_max = 5;
  int iterations_max = 10;
  int parallel = 8;               // sub-calls at once
  int answer_tokens = 256;        // of a leaf call
  int root_tokens = 4'096;        // of one turn of the root
  std::size_t passages_read = 3;  // at once, of prose
};

/// One answer's run. Members outlive it.
struct Run {
  Model root, leaf;
  Bounds bounds;
  Asker& asker;
  const base::Clock& clock;
  sandbox::Sandbox* sandbox = nullptr;  // null: no root can write programs
  std::string tenant = {};
  CustomTools tools = {},
              sub_tools = {};  // of the root's programs, and of those that its rlm_query has written
  /// Where every sandbox is taken: whether one that a session keeps could be closed for this tenant.
  std::function<bool()> free_repl = [] { return false; };
  std::function<void(const std::string&)> on_progress = [](const std::string&) {};
  std::atomic<int> children = 0;  // with a thread of their own, at all levels together

  Watch watch() { return Watch(asker.cancel(), &asker.ledger(), on_progress); }
};

/// What a program (fixed or written by the root) came to.
struct Outcome {
  std::string answer;
  nlohmann::json reasoning = nlohmann::json::array();  // [{step, ...}]
  nlohmann::json strategy;                             // {program, why, ...}
  nlohmann::json trajectory;                           // {run_metadata, iterations}: see trajectory.h
  int depth = 0;                                       // the deepest level that was reached
  std::size_t bytes_read = 0;                          // of the context, by models
};

}  // namespace pmt::rlm
