// How a team of threads runs a graph, instead of ggml's own loop (note 0035).
//
// ggml runs one operator after another with a barrier behind each. Here every stage is one operator that all
// members work at. The small ones that follow it (a row's norm, a sum) are run by the last member that is done,
// before the others go on: they have one row to work at, so more members couldn't help, and each saves a barrier.
// An operator of ours that says into how many parts it may be cut is taken part by part by whoever has time: a core
// that is slower for a moment, since a neighbour of the machine uses its memory, does less of it.
// The operators themselves are ggml's. So are the bits: each of them computes a row in the same order wherever it
// runs. Thread-safety: run by one thread at a time. Cost: nothing besides a list of the graph's nodes.
#pragma once

#include <optional>
#include <vector>

#include <ggml.h>

#include "base/thread_team.h"

namespace pmt::model {

/// The tasks of an operator of ours whose elements cost no more than those of ggml's small ones.
inline constexpr int kSmallTasks = 1;
// An operator of ours with more tasks may be cut into so many parts: it is called as task `part` of `parts`, whatever the
// number of members. With GGML_N_TASKS_MAX it is called once by each member.

class GraphSchedule {
 public:
  /// Unset if the graph has an operator that needs ggml's own threads: its matrix products take work from each
  /// other in ways that only they know. The graph must outlive the schedule.
  static std::optional<GraphSchedule> of(ggml_cgraph* graph);

  /// Computes the graph on the team's first `members`.
  void run(base::ThreadTeam& team, int members) const;

  std::size_t stages() const { return stages_.size(); }

 private:
  struct Node {
    ggml_tensor* tensor = nullptr;
    ggml_tensor* times = nullptr;  // the product that is fused with this norm; null: none
    int parts = 0;                 // to be taken one by one; 0: a part a member
  };
  struct Stage {
    std::optional<Node> shared;  // by all members; unset in a graph that begins with small ones
    std::vector<Node> alone;     // then, by the last of them
  };

  static void compute(const Node& node, int part, int parts);

  std::vector<Stage> stages_;
};

}  // namespace pmt::model
