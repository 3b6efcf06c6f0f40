// What a server takes over from its config file while it runs (SIGHUP), and what it can't.
//   [[key]], [prices]               at once
//   [log] level, path               at once; the same path is opened anew
//   [server] stop_grace_ms          at once
//   [server] tls_certificate, tls_key   read anew, for new connections; with or without TLS takes a restart
//   everything else                 takes a restart, and is named
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/config/config.h"
#include "base/result.h"

namespace pmt::app {

/// The names ("[server] port", "[[model]]") of what differs between two texts and takes a restart.
/// Requires: both are configs that parse_config takes.
std::vector<std::string> needs_restart(std::string_view before, std::string_view now);

/// Whether a server that runs by `before` may go on by `now`. Errors: it has keys, and would have none. A
/// file that is half written must not open a server to everybody.
base::Status may_reload(const Config& before, const Config& now);

}  // namespace pmt::app
