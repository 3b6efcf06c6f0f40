// One model of several like servers as a Completer, and an endpoint of theirs as a Forwarder: the pool says who gets
// a request (server_pool.h), a RemoteCompleter or a forwarder a server asks (note 0033).
//
//   start -> a place in the pool -> that server's RemoteCompleter, one attempt -> events ... Done
//              ^                      |
//              +--- another server ---+  failed, may go better, and nothing was passed on
//
// Each server that takes requests is asked once, at once; then, after a wait, as many attempts more as
// RemoteOptions::retries says, beginning anew. So a request is lost with a server only if its answer had begun.
// The report's `upstream` is that of who answered, with all attempts and errors, and "server": its place in the
// list, from 1.
//
// Errors: the last server's; kUnavailable where none takes requests. Thread-safety: as RemoteCompleter. The pool,
// the client and the clock outlive every request.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "llm/forwarder.h"
#include "net/async_client.h"
#include "upstream/remote_completer.h"
#include "upstream/server_pool.h"

namespace pmt::upstream {

/// `options`: of each server, but for base_url, which the pool has. The cooldown is the pool's. Its stats count a
/// request once, and as an attempt at each server that it was sent to.
std::unique_ptr<RemoteCompleter> make_balanced_completer(const RemoteOptions& options, ServerPool& pool,
                                                         net::AsyncClient& client, const base::Clock& clock,
                                                         std::function<double()> random);

/// What it is asked has no beginning to be found again: the least busy server gets it. `target`: below base_url.
std::unique_ptr<llm::Forwarder> make_balanced_forwarder(const RemoteOptions& options,
                                                        const std::string& target, ServerPool& pool,
                                                        net::AsyncClient& client, const base::Clock& clock,
                                                        std::function<double()> random);

}  // namespace pmt::upstream
