#include "net/url.h"

#include <fmt/format.h>

namespace pmt::net {

base::Result<Url> parse_url(const std::string& text) {
  const auto bad = [&text](std::string_view why) {
    return base::invalid(
        fmt::format("'{}' is not a server's URL: {}; it looks like http://127.0.0.1:8080", text, why), "url");
  };
  std::string_view rest = text;
  Url url;
  url.tls = rest.starts_with("https://");
  if (!url.tls && !rest.starts_with("http://")) return bad("it must begin with http:// or https://");
  rest.remove_prefix(url.tls ? 8 : 7);
  if (rest.find_first_of("?#@ \r\n\t") != std::string_view::npos) {
    return bad("only a host, a port and a path may follow the scheme");
  }
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    url.path = rest.substr(slash);
    while (url.path.ends_with('/')) url.path.pop_back();
    rest = rest.substr(0, slash);
  }
  url.authority = rest;
  url.port = url.tls ? "443" : "80";
  const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == std::string_view::npos) return bad("a ] is missing");
  const std::size_t colon = rest.find(':', bracket);
  url.host = bracket > 0 ? rest.substr(1, bracket - 1) : rest.substr(0, colon);
  if (url.host.empty()) return bad("the host is missing");
  if (colon == std::string_view::npos) return url;
  url.port = rest.substr(colon + 1);
  const bool digits = url.port.find_first_not_of("0123456789") == std::string::npos;
  if (url.port.empty() || url.port.size() > 5 || !digits || std::stoi(url.port) > 65535) {
    return bad("the port must be a number up to 65535");
  }
  return url;
}

}  // namespace pmt::net
