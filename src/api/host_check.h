// Who a server without keys answers. Then browsers are the way in, in two forms, and each has its header:
//   Origin | a page of another site: its host must be one of ours, at the port that the request goes to
//   Host   | a name that was rebound to this machine: the host must be one of ours
// Ours: this machine's own names and addresses, and [server] allowed_hosts, for those who serve behind a
// name. A page of an allowed host may have any port and scheme: what stands before us may rewrite ours. Other
// headers (X-Forwarded-Host and its like) are not asked: anybody can write them. Thread-safety: immutable.
// Cost: under a microsecond.
#pragma once

#include <vector>

#include "api/cors.h"
#include "base/result.h"
#include "net/host.h"
#include "net/http.h"

namespace pmt::api {

struct HostCheckOptions {
  /// The server can only be reached from this machine. Else an address is always ours (a page can't rebind
  /// one), and any name as long as `allowed` names none.
  bool loopback_only = true;
  std::vector<net::HostPattern> allowed = {};
  Cors cors = {};  // pages of elsewhere that may call
};

/// Errors of both: kForbidden, with the way out.
class HostCheck {
 public:
  explicit HostCheck(HostCheckOptions options) : options_(std::move(options)) {}
  /// A request without Origin comes from a program, not from a page.
  base::Status check_origin(const net::HttpRequest& request) const;
  base::Status check_host(const net::HttpRequest& request) const;
  const Cors& cors() const { return options_.cors; }

 private:
  bool is_allowed(const net::Host& host) const;
  bool is_own_page(const std::string& origin, std::string_view host) const;

  const HostCheckOptions options_;
};

}  // namespace pmt::api
