// One model of one OpenAI-compatible server as a Completer (note 0014).
//
//   start -> [queue] -> attempt -> events ... Done
//                         |  ^
//                         v  | backoff, or as long as Retry-After says
//                       failed, and may go better: tried again while nothing was passed on
//
// Events pass through as they come. The report's `upstream` says {"provider", "model", "attempts",
// "first_byte_ms", "errors"}: what it took, this time. Cancelling closes the connection to the server; what
// arrives is parsed before more is read.
//
// Errors: the upstream's, as upstream_error.h maps them, each message beginning with who it is; kUnavailable
// while it cools down, or when too many wait; kBadGateway when it answers nonsense or breaks off in the
// middle; kDeadline when it stalls or the request's budget.seconds is over. After the first event nothing is
// tried again: the stream ends with Failed. Thread-safety: start and stats from any thread. The client and
// the clock outlive this; this outlives every request's terminal event (AsyncClient::stop brings them about).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "llm/completer.h"
#include "net/async_client.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

struct RemoteStats {
  std::uint64_t requests = 0, completed = 0, failed = 0, cancelled = 0;
  std::uint64_t attempts = 0, retries = 0, cooled = 0;  // cooled: refused because it cools down
  std::uint64_t prompt_tokens = 0, completion_tokens = 0;
  std::int64_t running = 0, waiting = 0;
};

class RemoteCompleter : public llm::Completer {
 public:
  /// `random`: uniform in [0, 1), for the backoff; any thread.
  static std::unique_ptr<RemoteCompleter> create(RemoteOptions options, net::AsyncClient& client,
                                                 const base::Clock& clock, std::function<double()> random);

  virtual RemoteStats stats() const = 0;
  virtual const RemoteOptions& options() const = 0;
  /// Seconds that it is left alone; 0 when it may be asked.
  virtual double cooling_s() const = 0;
};

}  // namespace pmt::upstream
