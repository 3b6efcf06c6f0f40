// Who runs and who waits: admission by pages, pre-emption when they run out, and every way in which a job leaves
// (finished, a client that left, seconds that are over, an error of the server's own).
//
// Invariants:
//   1. Jobs begin in the order of their arrival; one is admitted when the pool can hold its whole prompt besides
//      what the running jobs' prompts still need, or when nobody runs.
//   2. Only the youngest running job is ever pre-empted, and is the next to be admitted again. So the oldest always
//      advances.
//   3. The counters `running` and `waiting` move with the lists, before the terminal event of a job that completes.
// Thread-safety: check_size and new_tokens_that_fit from any thread; the rest is the scheduler's thread's.
#pragma once

#include <functional>
#include <vector>

#include "inference/batch.h"
#include "inference/job_reports.h"
#include "inference/prefix_reuse.h"

namespace pmt::inference {

class Admission {
 public:
  /// What it works with; all of it outlives it.
  struct Around {
    const model::Hparams& hparams;
    kv_cache::PagePool& pool;
    const LocalModelOptions& options;
    const base::Clock& clock;
    PrefixReuse& prefixes;
    JobReports& reports;
    EngineCounters& counters;
  };
  explicit Admission(const Around& around) : around_(around) {}

  /// Errors: kTooLarge: the job's pages could not fit even alone.
  base::Status check_size(const Job& job) const;
  /// How many new tokens each of `choices` answers to a prompt of `prompt_tokens`, compressed `kv_ratio`
  /// times, could have in an empty pool.
  int new_tokens_that_fit(int prompt_tokens, int choices, double kv_ratio) const;

  const Jobs& running() const { return running_; }  // oldest first
  bool idle() const { return running_.empty() && waiting_.empty(); }

  /// Puts jobs that the counter `waiting` has already counted behind those that wait.
  void enqueue(Jobs& submitted) { waiting_.splice(waiting_.end(), submitted); }
  /// Admits those that fit: `begin` makes their choices, or says why the job fails. One that was pre-empted has
  /// its choices already.
  void admit(const std::function<base::Status(Job&)>& begin);
  void drop_cancelled();
  /// The seconds of some requests are over: what was said is the answer, cut short; without a word it is a failure.
  void end_late();
  /// Ends the choices that are finished, and the jobs that have none left; what they read is kept as a prefix.
  void retire_finished();

  /// Whether the pool has room for this step. If not, something was given up for it (prefixes, drafts, or the
  /// youngest job's pages): the parts are to be chosen anew.
  bool make_room(const std::vector<Part>& parts);
  /// After a step. What a local layer no longer sees goes at once, save while a prompt is read that others may begin
  /// alike: its prefix can only be cut where every page is still there.
  void drop_unseen(const std::vector<Part>& parts);

  /// What got out of a turn may have left any running sequence half-changed: all of them go, those that wait
  /// are whole.
  void fail_running();
  /// Ends every job with this error.
  void fail_all(const base::Error& error);

 private:
  std::size_t pages_for_prompt(const Job& job) const;
  /// Late while it is being answered.
  void cut_short(Job& job);
  void preempt_youngest();
  void end_finished_choices(Job& job);

  const Around around_;
  Jobs running_;  // oldest first
  Jobs waiting_;
};

}  // namespace pmt::inference
