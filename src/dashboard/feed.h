// The dashboard's event stream: every period one snapshot, made once and sent to all who listen. With nobody
// listening nothing is made.
// Thread-safety: any thread. What `snapshot` uses must outlive the feed, or its close().
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/http.h"

namespace pmt::dashboard {

struct FeedOptions {
  std::function<std::string()> snapshot;  // one line of JSON
  int period_ms = 1000;
  std::size_t listeners_max = 32;
};

class Feed {
 public:
  explicit Feed(FeedOptions options);
  ~Feed() { close(); }

  /// Streams to `responder` until it leaves, `allowed` (unset: always) says no or the feed closes; the first
  /// snapshot comes at once. False, and nothing sent, when there are too many already.
  bool listen(std::shared_ptr<net::Responder> responder, std::function<bool()> allowed = {});
  std::size_t listeners() const;
  /// Ends every stream: a server that stops would wait for them. Idempotent.
  void close();

 private:
  struct Listener {
    std::shared_ptr<net::Responder> responder;
    std::shared_ptr<std::atomic<bool>> gone;
    std::function<bool()> allowed;
    bool over() const { return *gone || (allowed && !allowed()); }
  };
  void run();
  void drop_gone();  // under mutex_

  const FeedOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Listener> listeners_;  // under mutex_
  bool closed_ = false;              // under mutex_
  std::thread thread_;
};

}  // namespace pmt::dashboard
