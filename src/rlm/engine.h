// RecursiveLanguageModel, model name `rlm` (arXiv 2512.24601): answers about a context of any length by looking
// into it with a program. Records are asked by SQL (tables_program.h). Of other texts only parts are read: the
// root model writes the program in a sandboxed REPL (repl_program.h), or, where it is below 2B parameters, passages are found
// and answered from with a quote (prose_program.h).
//
// Done.report.engine carries {metadata, final_answer, reasoning_trace, repl_history, performance
// {total_depth, total_calls, context_tokens_processed, context_tokens, total_time_ms, cost_estimate, ...},
// context_strategy, kv_cache_compression}, every figure summed from what the calls reported, and with `trace`
// the whole trajectory (trajectory.h). usage counts all calls of the tree.
// Requests of one session (sessions.h) have its contexts, and of a root that writes programs the REPL with its variables;
// context_strategy.session says {id, turn, resumed, contexts} and, where something is gone, why.
//
// Errors: kInvalidArgument (nothing is asked), kNotFound (no context, and no session that has one), kUnavailable
// (running_max, no sandbox), kExhausted (the
// tenant's share of running_max), what sessions.h says, the root's, the budget's. A cancelled answer ends within 100 ms, wherever
// it is, once the models that it asked have ended. Thread-safety: start from any thread; each answer has a
// thread of its own. What the options name outlives this. stop() before the models go.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/fair_share.h"
#include "llm/completer.h"
#include "rlm/question.h"
#include "rlm/run.h"
#include "rlm/sessions.h"

namespace pmt::rlm {

inline constexpr char kModelName[] = "rlm";

struct RlmOptions {
  Model root = {}, leaf = {};
  Bounds bounds = {};
  double kv_ratio = 8;  // of leaf calls, where the request names none
  bool speculation = true;
  int running_max = 16;
  int tenant_max = 0;        // of them one tenant's; 0: as many as are left for others
  bool tenants = false;      // whether there may be others
  BudgetLimits budget = {};  // a request may ask for less
  SessionLimits sessions = {};
  sandbox::Sandbox* sandbox = nullptr;
  std::string trajectory_dir = {};  // each answer's JSONL is written there; empty: nowhere
  std::function<void(const std::string&)> on_progress = [](const std::string&) {};
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

class RecursiveLanguageModel final : public llm::Completer {
 public:
  RecursiveLanguageModel(RlmOptions options, const base::Clock& clock);
  /// stop()
  ~RecursiveLanguageModel() override;

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;
  /// Ends what runs and waits for it; takes no more.
  void stop();

  /// Whether the root is too small to write programs.
  bool is_fixed() const;
  /// What requests have named.
  Sessions& sessions() { return sessions_; }

 private:
  struct Job;
  struct Made;
  /// Whether there is a place for it, which it has then.
  base::Status take_place(const std::shared_ptr<Job>& job);
  void leave(Job& job);
  void run(std::shared_ptr<Job> job);
  void answer(Job& job);
  base::Result<Made> make(Job& job);
  base::Result<Outcome> run_program(Run& run, const std::string& question, Session& kept,
                                    std::int64_t& context_tokens) const;
  void keep_trajectory(const std::string& id, const nlohmann::json& trajectory) const;

  const RlmOptions options_;
  const base::Clock& clock_;
  base::FairShare places_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::set<Job*> jobs_;
  bool stopping_ = false;
  Sessions sessions_;
};

}  // namespace pmt::rlm
