// One thread that changes domains (learning takes seconds, and waits for other writers), and the jobs that it
// works on, for those who ask how far they are.
//
// Thread-safety: any thread. The last kJobsKept finished jobs are remembered.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::api {

class KnowledgeWorker {
 public:
  static constexpr std::size_t kJobsKept = 256;
  static constexpr std::size_t kWaitingMax = 64;

  /// What a job shows: {"id", "object", "domain", "tenant", "status", "done", "of", "report" | "error"}. `ended`: no
  /// more will come.
  using Watcher = std::function<void(const nlohmann::json& state, bool ended)>;
  using Progress = std::function<void(std::size_t done, std::size_t of)>;
  using Work = std::function<base::Result<nlohmann::json>(const Progress&)>;

  KnowledgeWorker();
  ~KnowledgeWorker();

  /// Ends after what runs; what waits is dropped. Idempotent.
  void stop();

  /// Its first state. `owner`: the tenant, to whom alone the job exists. Errors: kUnavailable, too many jobs
  /// wait.
  base::Result<nlohmann::json> start(std::string id, std::string domain, std::string owner, Work work);
  /// Runs `act` on the thread, after what waits.
  base::Status run(std::function<void()> act);
  /// Who asks for jobs: their owner, or null for the operator, who sees all.
  using Owner = std::optional<std::string>;
  /// Errors: kNotFound.
  base::Result<nlohmann::json> state(const std::string& id, const Owner& owner) const;
  /// The states of an owner's jobs: what ended, in that order, then what runs or waits.
  nlohmann::json states(const Owner& owner) const;
  /// Calls `watcher` with the state now and with each change, until one ended. Errors: kNotFound.
  base::Status watch(const std::string& id, const Owner& owner, Watcher watcher);

 private:
  struct Job {
    nlohmann::json state;
    std::string owner;
    bool ended = false;
    std::vector<Watcher> watchers;
    bool seen_by(const Owner& who) const { return !who || *who == owner; }
  };
  void loop();
  void update(const std::string& id, const std::function<void(nlohmann::json&)>& change, bool ended);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> waiting_;  // under mutex_
  std::map<std::string, Job> jobs_;            // under mutex_
  std::deque<std::string> finished_;           // under mutex_, oldest first
  bool stopping_ = false;                      // under mutex_
  std::thread thread_;
};

}  // namespace pmt::api
