// What all requests to an upstream have in common: who we are, how long we wait, what an exchange's end means, how
// we name its errors, and when we ask again. Thread-safety: pure functions.
#pragma once

#include <string>

#include "base/cancel.h"
#include "base/result.h"
#include "net/async_client.h"
#include "upstream/cooldown.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

struct CallParts {
  std::string target;  // below base_url
  std::string body;
  std::string id, traceparent;  // "": not sent
  bool streams = false;
  double total_s = 600;
};
net::AsyncCall upstream_call(const RemoteOptions& options, CallParts parts);

/// With who it is in front, and what to do about a key.
base::Error named(base::Error error, const RemoteOptions& options);

/// An exchange's error as the upstream's: HTTP's words for "broke off" and "nonsense" mean a bad upstream here.
base::Error of_exchange(base::Error error);

/// Why an exchange was cancelled: its caller left (kCancelled), or this server stops (kUnavailable).
base::Error of_cancel(const base::CancelToken& cancel);

/// Errors: what the server's refusal means (upstream_error.h); kBadGateway for any other status but 2xx, since
/// nobody here follows it elsewhere.
base::Status check_status(int status, const net::Headers& headers, std::string_view body,
                          std::int64_t now_unix_s);

/// Errors: kUnavailable with the wait, while the model is left alone.
base::Status check_cooldown(const Cooldown& cooldown);
/// Of an attempt that failed: only what may go better later counts.
void note_failure(Cooldown& cooldown, const Retries& retries, const base::Error& error);

/// Whether the model may be asked once more, after so many attempts.
bool may_retry(const Retries& retries, const base::Error& error, int attempts);

/// Before another attempt: at least what the server asked for. `random`: in [0, 1).
double backoff_s(const Retries& retries, int attempts, double retry_after_s, double random);

}  // namespace pmt::upstream
