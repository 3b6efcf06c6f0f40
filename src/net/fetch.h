// One GET, waited for: redirects are followed, and the body is handed on in pieces, so that it may be larger than
// memory. Over TLS no redirect leads back to plain HTTP.
// Thread-safety: several threads may fetch over one client, but none of them the client's own; the hooks run on
// the client's thread while the caller waits.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/result.h"
#include "net/async_client.h"

namespace pmt::net {

struct Fetch {
  std::string url;          // http:// or https://, with path and query
  Headers headers = {};     // for whoever answers
  std::string bearer = {};  // a token for the server of `url`: a redirect to another origin goes without it
  double stall_timeout_s = 30;  // to connect, for the first byte, and between two pieces
};

struct FetchAnswer {
  int status = 0;
  Headers headers = {};
  Headers redirects = {};  // those of the answers that led here
  std::string body = {};   // of a status that isn't 2xx, its beginning
  /// The header's value, the last answer's first; "" if there is none. `name` in lower case.
  std::string_view header(std::string_view name) const;
};

/// An error ends the exchange and is what fetch() returns.
struct FetchHooks {
  std::function<base::Status(const FetchAnswer&)> on_head = {};  // once, where the status is 2xx
  std::function<base::Status(std::string_view)> on_body = {};    // the body's pieces, in order
};

/// Any status is an answer. Errors: of the URL (kInvalidArgument); kUnavailable, kDeadline, kIo, kCorrupt as
/// ExchangeListener::on_end; kCancelled; a redirect that leads nowhere (kBadGateway); those of the hooks.
base::Result<FetchAnswer> fetch(AsyncClient& client, const Fetch& what, const FetchHooks& hooks = {},
                                const base::CancelToken& cancel = {});

}  // namespace pmt::net
