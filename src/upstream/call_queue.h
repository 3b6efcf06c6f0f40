// How many calls to one model run at once. More wait, in the order of arrival; more than may wait are refused.
// Thread-safety: any thread may call anything. The client outlives this; this outlives every call that entered.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

#include "base/result.h"
#include "net/async_client.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

class CallQueue {
 public:
  CallQueue(const RemoteOptions& options, net::AsyncClient& client) : options_(options), client_(client) {}

  /// Calls `begin` from here, or later on the client's thread. Errors: kUnavailable, too many wait; `begin` is
  /// never called then.
  base::Status enter(std::function<void()> begin);
  /// A call that began has ended: the next that waits may begin.
  void leave();

  struct Load {
    std::int64_t running = 0, waiting = 0;
  };
  Load load() const;

 private:
  const RemoteOptions& options_;
  net::AsyncClient& client_;
  mutable std::mutex mutex_;
  int running_ = 0;                            // guarded by mutex_, like
  std::deque<std::function<void()>> waiting_;  // in the order of arrival
};

}  // namespace pmt::upstream
