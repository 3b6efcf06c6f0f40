// The one thread that puts the shared tier's questions to Redis, in pipelined batches, and the breaker that
// says whether there is any use in asking.
//
// The first failure or timeout takes the breaker down: everything that waits, and everything that comes, is
// told so at once. Only the log's follower puts it up again.
// Thread-safety: any thread may call anything. `done` runs on the worker's thread, or inside ask() when down.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "redis/link.h"

namespace pmt::response_cache {

using SteadyTime = std::chrono::steady_clock::time_point;

class Breaker {
 public:
  /// `on_down` is told why, once each time; by whichever thread found out.
  explicit Breaker(std::function<void(const base::Error&)> on_down) : on_down_(std::move(on_down)) {}
  bool is_up() const { return up_.load(std::memory_order_acquire); }
  void set_up() {
    ++ups_;
    up_.store(true, std::memory_order_release);
  }
  /// How often it went up: connections from before may be dead.
  std::uint64_t ups() const { return ups_; }
  void set_down(const base::Error& why);
  std::string last_error() const;
  std::uint64_t failures() const { return failures_; }

 private:
  const std::function<void(const base::Error&)> on_down_;
  std::atomic<bool> up_{false};
  std::atomic<std::uint64_t> failures_{0}, ups_{0};
  mutable std::mutex mutex_;
  std::string last_error_ = "not connected yet";
};

/// Keeps SIGPIPE from the calling thread: hiredis writes to sockets whose peer may have gone.
void block_sigpipe();

class RedisWorker {
 public:
  using Done = std::function<void(const base::Result<redis::Reply>&)>;
  struct Job {
    std::function<redis::Command()> make;  // on the worker's thread: values are encoded there
    Done done;
    std::size_t bytes = 0;  // that wait with it
    SteadyTime due = {};    // not before
  };

  RedisWorker(redis::LinkOptions options, std::chrono::milliseconds timeout, Breaker& breaker);
  /// Asks what is due by then, tells the rest that there is no answer.
  ~RedisWorker();

  void ask(Job job);
  /// Nothing waits for its time any more.
  void hurry();
  std::size_t bytes_waiting() const { return bytes_; }
  std::size_t jobs_waiting() const;

 private:
  void run();
  void work(std::vector<Job> jobs);

  redis::Link link_;
  std::uint64_t link_ups_ = 0;  // of the breaker when link_ was opened
  const std::chrono::milliseconds timeout_;
  Breaker& breaker_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<SteadyTime, Job> jobs_;
  std::atomic<std::size_t> bytes_{0};
  bool stop_ = false, hurried_ = false;
  std::thread thread_;
};

}  // namespace pmt::response_cache
