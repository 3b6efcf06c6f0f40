#include "net/link.h"

#include <algorithm>

#include <fmt/format.h>

#include "net/host.h"

namespace pmt::net {

base::Result<Link> parse_link(const std::string& text) {
  const std::size_t scheme = text.find("://");
  const std::size_t from = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t path = std::min(text.find_first_of("/?#", from), text.size());
  Link link;
  TRY_ASSIGN(link.server, parse_url(text.substr(0, path)));
  link.target = text.substr(path, std::min(text.find('#', path), text.size()) - path);
  if (!link.target.starts_with('/')) link.target.insert(0, "/");
  return link;
}

base::Result<Link> follow(const Link& from, const std::string& location) {
  if (location.starts_with("http://") || location.starts_with("https://")) return parse_link(location);
  if (location.starts_with("//")) return parse_link((from.server.tls ? "https:" : "http:") + location);
  if (location.starts_with('/')) return parse_link(from.server.origin() + location);
  const std::string path = from.target.substr(0, from.target.find('?'));
  return parse_link(from.server.origin() + path.substr(0, path.rfind('/') + 1) + location);
}

std::string percent_encoded(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

bool is_this_machine(const Url& url) {
  const auto host = parse_host(url.host);
  return host && host->is_this_machine();
}

}  // namespace pmt::net
