// One endpoint of one model of an upstream as a Forwarder: the caller's body with the upstream's own name for the
// model, and the answer with ours; all other bytes stay. Limits, retries and cooldown are the completer's.
// Errors: the upstream's (upstream_error.h), named; kBadGateway where the answer is no JSON object, or a redirection;
// kUnavailable while it cools down, when too many wait, or when this server stops; kDeadline.
// Thread-safety: forward from any thread. The client outlives every call; this outlives each call's answer.
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
