// One endpoint of one model of an upstream as a Forwarder: the caller's body with the upstream's own name for the
// model, and the answer with ours; all other bytes stay. Tried again while it may go better, as the completer is.
// Errors: the upstream's (upstream_error.h), named; kBadGateway where the answer is no JSON object; kDeadline.
// Thread-safety: forward from any thread. The client outlives every call.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "llm/forwarder.h"
#include "net/async_client.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

/// `target`: below base_url, such as "/embeddings". `random`: uniform in [0, 1), for the backoff.
std::unique_ptr<llm::Forwarder> make_forwarder(RemoteOptions options, std::string target,
                                               net::AsyncClient& client, const base::Clock& clock,
                                               std::function<double()> random);

}  // namespace pmt::upstream
