// Runs a model's graphs on the cores: alone, beside other models, or beside other processes (note 0035).
//
// A graph with a schedule is run by a team of our own threads, any other by ggml's. Models of this process that compute
// at once divide the cores. Where other processes take cores, our members sleep as soon as they wait for each other,
// and of ggml's, which can't, half are used. Thread-safety: one thread at a time. Cost: threads that sleep; while it
// computes, a small read a thread each 20 ms.
#pragma once

#include <optional>
#include <thread>

#include <ggml-backend.h>

#include "base/core_wait.h"
#include "base/crowding.h"
#include "base/thread_team.h"
#include "model/graph_schedule.h"

namespace pmt::model {

class GraphRunner {
 public:
  explicit GraphRunner(int threads);
  ~GraphRunner();
  GraphRunner(const GraphRunner&) = delete;
  GraphRunner& operator=(const GraphRunner&) = delete;

  /// At most.
  int threads() const { return team_.members(); }
  /// ggml's CPU, for buffers and for what lies in them.
  ggml_backend_t backend() const { return backend_; }

  void run(ggml_cgraph* graph, const std::optional<GraphSchedule>& schedule);

 private:
  void look_around(base::Nanos computed);

  ggml_backend_t backend_;
  base::ThreadTeam team_;
  int place_;  // among those that share the cores
  base::Crowding crowding_;
  std::thread::id caller_;              // it computes as well
  std::optional<base::CoreWait> wait_;  // of the team with that caller
  std::optional<base::Nanos> waited_;   // at the last look
  base::Nanos computed_{0};             // since then
};

}  // namespace pmt::model
