// The inside of a ModelHost: model_host.cpp has what callers ask, model_loader.cpp what the thread does.
//
// Invariants (all state under `mutex_`):
// 1. Only the thread loads and destroys models, both without the lock. Nobody's callback is called under it.
// 2. Whoever waits for a model is in its `waiting`; that model is then in `queue_`, or it is being loaded.
// 3. `reserved_` are the bytes of every model in memory: those loaded, those that go, and the one being
//    loaded.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/hosted_model.h"

namespace pmt::engine {

struct ModelHost::Impl {
  using Lock = std::unique_lock<std::mutex>;
  /// What must be told once the lock is free.
  using Told = std::vector<std::pair<std::shared_ptr<Waiting>, base::Result<Lease>>>;

  Impl(ModelHostOptions given, const base::Clock& the_clock);

  // Callers (model_host.cpp).
  HostedModel& model(const std::string& name) const { return *models_.at(name); }
  /// The lease, or why not; none: it must be waited for.
  std::optional<base::Result<Lease>> lend_without_waiting(HostedModel& model, bool at_once);
  void wait(HostedModel& model, LendOptions options, Lent done);
  void drop(HostedModel& model, const Waiting* waiting);
  Lease lease_of(LoadedModel& loaded, bool is_use);
  void give_back(LoadedModel& loaded, bool is_use);
  void look_at_file(HostedModel& model, const base::Result<FileIdentity>& found);
  base::Error refusal(const HostedModel& model) const;
  void enqueue(HostedModel& model);
  void retire(HostedModel& model);
  ModelState state_of(const HostedModel& model) const;
  std::string waits_for(const HostedModel& model) const;

  // The thread (model_loader.cpp).
  void run();
  bool is_idle(const HostedModel& model) const;
  void retire_idle();
  bool destroy_retired(Lock& lock);
  void destroy(std::unique_ptr<LoadedModel> loaded, Lock& lock);
  /// Whether anything was done.
  bool serve_queue(Lock& lock);
  enum class Room { kFree, kBeingMade, kAwaited };  // kAwaited: until busy ones have ended what they run
  Room make_room(const HostedModel& wanted);
  struct Opened {
    FileIdentity file;
    ModelHeader header;
    std::unique_ptr<inference::LocalModel> model;
    std::int64_t bytes = 0;
  };
  base::Result<Opened> open(HostedModel& model);
  void load(HostedModel& model, Lock& lock);
  void opened_well(HostedModel& model, Opened opened, double load_ms);
  void failed(HostedModel& model, base::Error why, std::optional<FileIdentity> file);
  void lend_to_all(HostedModel& model, Lock& lock);
  void fail_all(HostedModel& model, const base::Error& why, Told& told);
  void end_late(Lock& lock);
  std::int64_t bytes_free() const;
  std::int64_t bytes_available(const HostedModel& model) const;
  bool never_fits(const HostedModel& model) const;
  std::optional<base::Nanos> next_deadline() const;
  static void tell(Told told);

 private:
  friend class ModelHost;

  const ModelHostOptions options_;
  const base::Clock& clock_;
  const std::int64_t bytes_max_;
  std::map<std::string, std::unique_ptr<HostedModel>> models_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<HostedModel*> queue_;
  std::vector<std::unique_ptr<LoadedModel>> retired_;  // to be destroyed when nobody holds them
  std::vector<std::unique_ptr<LoadedModel>> closed_;   // whose leases are still held somewhere
  HostedModel* loading_ = nullptr;
  std::int64_t reserved_ = 0, loading_bytes_ = 0;  // the second is a part of the first while one is loaded
  std::atomic<bool> stopping_{false};              // set under the lock
  std::thread thread_;
};

}  // namespace pmt::engine
