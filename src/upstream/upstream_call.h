// What all requests to an upstream have in common: who we are, how long we wait, how we name its errors, and when
// we ask again. Thread-safety: pure functions.
#pragma once

#include <string>

#include "base/result.h"
#include "net/async_client.h"
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

/// Before another attempt: at least what the server asked for. `random`: in [0, 1).
double backoff_s(const Retries& retries, int attempts, double retry_after_s, double random);

}  // namespace pmt::upstream
