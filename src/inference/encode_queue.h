// Requests on their way to a model, encoded one after the other on a thread of its own: a long prompt or a
// complex form would hold up an I/O thread, or everybody's next token. A model has two: prompts never wait
// behind forms. Thread-safety: any thread may push.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/guard.h"
#include "llm/completer.h"

namespace pmt::inference {

struct Arrived {
  llm::Request request;
  std::shared_ptr<llm::Sink> sink;
  base::CancelToken cancel;
  base::Nanos at{0};
};

class EncodeQueue {
 public:
  struct Options {
    base::Thread thread;
    std::size_t waiting_max;
  };
  /// `encode` takes a request on; its error, or exception, ends this request as Failed. A request whose
  /// caller has left doesn't get there.
  EncodeQueue(Options options, std::function<base::Status(Arrived&)> encode);
  /// Those that wait fail: kUnavailable.
  ~EncodeQueue();

  /// False, and nothing taken, if too many wait.
  bool push(Arrived& arrived);

 private:
  void run();
  base::Status take(Arrived& arrived, bool stopping);

  const Options options_;
  const std::function<base::Status(Arrived&)> encode_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Arrived> waiting_;  // under mutex_
  bool stopping_ = false;        // under mutex_
  std::thread thread_;
};

}  // namespace pmt::inference
