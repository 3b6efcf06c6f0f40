// A thread for what an endpoint must not do on an I/O thread: it blocks on a disk or on other servers, or
// takes seconds. One thing after the other, in order of arrival. Thread-safety: any thread may call run.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace pmt::api {

class Background {
 public:
  Background() : thread_([this] { work(); }) {}
  ~Background() { stop(); }
  /// Finishes what it does, and drops the rest: each Responder answers for itself that it was dropped.
  /// Idempotent; one thread at a time.
  void stop();
  /// False if too much waits. A job that throws is dropped.
  bool run(std::function<void()> job);

 private:
  static constexpr std::size_t kWaitingMax = 256;
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace pmt::api
