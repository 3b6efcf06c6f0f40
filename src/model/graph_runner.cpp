#include "model/graph_runner.h"

#include <algorithm>
#include <chrono>

#include <ggml-cpu.h>

#include "base/check.h"
#include "base/core_share.h"

namespace pmt::model {
namespace {

using std::chrono::microseconds;

/// Alone, a fellow is never far: sleeping would cost more than it saves, between tokens as well.
constexpr base::Patience kAlone{microseconds(1000), microseconds(1000)};
/// In a crowd, a fellow that isn't here at once has mostly lost its core for milliseconds. Note 0035 has what longer
/// waits cost.
constexpr base::Patience kCrowded{microseconds(1), base::Nanos(0)};

base::Nanos now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace

GraphRunner::GraphRunner(int threads)
    : backend_(ggml_backend_cpu_init()),
      team_(threads, kAlone),
      place_(base::CoreShare::of_process().join()) {}

GraphRunner::~GraphRunner() {
  base::CoreShare::of_process().leave(place_);
  ggml_backend_free(backend_);
}

void GraphRunner::run(ggml_cgraph* graph, const std::optional<GraphSchedule>& schedule) {
  const base::Nanos start = now();
  const int members = base::CoreShare::of_process().begin(place_, threads(), start);
  if (schedule) {
    schedule->run(team_, members);
  } else {
    ggml_backend_cpu_set_n_threads(backend_, crowding_.crowded() ? std::max(1, members / 2) : members);
    CHECK(ggml_backend_graph_compute(backend_, graph) == GGML_STATUS_SUCCESS);
  }
  const base::Nanos end = now();
  base::CoreShare::of_process().end(place_, end);
  look_around(end - start);
}

void GraphRunner::look_around(base::Nanos computed) {
  computed_ += computed;
  if (computed_ < base::Crowding::kWindow) return;
  if (!wait_ || caller_ != std::this_thread::get_id()) {
    caller_ = std::this_thread::get_id();
    wait_.emplace(team_.thread_ids());
    waited_.reset();
  }
  const auto waited = wait_->read();
  if (waited && waited_ && crowding_.observe({computed_, *waited - *waited_}))
    team_.set_patience(crowding_.crowded() ? kCrowded : kAlone);
  waited_ = waited;
  computed_ = base::Nanos(0);
}

}  // namespace pmt::model
