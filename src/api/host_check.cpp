#include "api/host_check.h"

#include <algorithm>

#include <fmt/format.h>

namespace pmt::api {

bool HostCheck::is_allowed(const net::Host& host) const {
  return std::ranges::any_of(options_.allowed,
                             [&host](const auto& pattern) { return pattern.matches(host); });
}

bool HostCheck::is_own_page(const std::string& origin, std::string_view host) const {
  const auto page = net::parse_origin(origin);
  if (!page) return false;
  if (is_allowed(page->host)) return true;
  const auto asked = net::parse_authority(host);
  if (!asked) return false;
  // Another port of this machine is another program's page. What stands before us with TLS leaves a Host
  // without port, which then means the page's scheme.
  const std::uint16_t port = asked->port.value_or(page->tls ? 443 : 80);
  const bool same = page->host == asked->host;
  const bool both_here = page->host.is_this_machine() && asked->host.is_this_machine();
  return port == page->port && (same || both_here);
}

base::Status HostCheck::check_origin(const net::HttpRequest& request) const {
  for (const auto& [name, value] : request.headers) {
    if (name != "origin" || value.empty() || is_own_page(value, request.header("host"))) continue;
    if (options_.cors.allows(value)) continue;
    return base::Error{
        base::Code::kForbidden,
        "This server has no keys, so it doesn't answer web pages of other sites. Configure a "
        "[[key]], name the page in [server] cors_origins (or, where it is served at this address, its "
        "host in allowed_hosts), or call it from a program."};
  }
  return {};
}

base::Status HostCheck::check_host(const net::HttpRequest& request) const {
  const std::string_view given = request.header("host");
  const bool any_name = !options_.loopback_only && options_.allowed.empty();
  if (given.empty() && any_name) return {};  // HTTP/1.0
  const auto asked = net::parse_authority(given);
  if (!asked) {
    return base::Error{base::Code::kForbidden,
                       fmt::format("The request's Host header is refused: {}.", asked.error().message)};
  }
  const net::Host& host = asked->host;
  const bool any = host.is_address ? !options_.loopback_only : any_name;
  if (any || host.is_this_machine() || is_allowed(host)) return {};
  return base::Error{
      base::Code::kForbidden,
      fmt::format(
          "This server has no keys{}, but the request asks for host '{}'. Use 127.0.0.1 or localhost, "
          "name the host in [server] allowed_hosts, or configure a [[key]].",
          options_.loopback_only ? " and listens on this machine only" : "", host.text)};
}

}  // namespace pmt::api
