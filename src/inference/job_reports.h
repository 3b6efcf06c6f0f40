// What the callers of jobs are told, and the net under each job: its events, its report and their counters.
//
// Every job gets exactly one terminal event: done() or fail(). Its counter moves before the event, so that who has
// seen the event finds it counted.
// Thread-safety: the scheduler's thread.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "base/guard.h"
#include "inference/engine_counters.h"
#include "inference/job.h"

namespace pmt::inference {

class JobReports {
 public:
  /// `model`: its name as served. `clock` and `counters` outlive the reports.
  JobReports(std::string model, const base::Clock& clock, EngineCounters& counters)
      : model_(std::move(model)), clock_(&clock), counters_(&counters) {}

  /// Runs what is this job's own. What it throws ends the job, and is told with the caller's place.
  template <class Fn>
  void for_job(Job& job, Fn&& fn, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    const base::Status ran = base::guarded({base::Thread::kScheduler, job.id, file, line}, fn);
    if (!ran) fail(job, ran.error());
  }

  /// The job has been admitted: its first event, and what its report begins with.
  void started(Job& job);
  /// Its first token is to be sampled: what is shown before it.
  void answer_begins(Job& job);
  /// The next token of a choice, chosen out of `logits` [vocabulary], told and counted. The job may have failed
  /// by it.
  void write_token(Job& job, Generation& generation, std::span<const float> logits);
  /// Adds a finished choice, which still has its pages, to the report. Before choice_ended().
  static void add_choice(Job& job, const PagedGeneration& generation);
  static void choice_ended(Job& job, const Generation& generation);
  /// Requires: every choice has ended.
  void done(Job& job);
  /// Drops what still runs of it. Does nothing if the job has ended.
  void fail(Job& job, base::Error error);

 private:
  const std::string model_;
  const base::Clock* clock_;
  EngineCounters* counters_;
};

}  // namespace pmt::inference
