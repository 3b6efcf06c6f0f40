#include "net/host.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace pmt::net {
namespace {

constexpr std::size_t kNameBytesMax = 253, kLabelBytesMax = 63;  // RFC 1035
constexpr std::size_t kShownBytesMax = 80;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}

/// Foreign bytes in an error message.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, kShownBytesMax));
  std::ranges::replace_if(
      out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text.size() > kShownBytesMax ? out + "..." : out;
}

base::Error bad(std::string_view text, std::string_view why) {
  return base::invalid(fmt::format("'{}' is not a host: {}", shown(text), why));
}

/// "[::1%eth0]" has a zone, in a URL "%25eth0": it says which of our own links, not which host.
base::Result<std::string> without_zone(std::string_view address, std::string_view whole) {
  const std::size_t percent = address.find('%');
  if (percent == std::string_view::npos) return std::string(address);
  std::string_view zone = address.substr(percent + 1);
  if (zone.starts_with("25") && zone.size() > 2) zone.remove_prefix(2);
  const auto is_zone = [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' ||
           c == '~';
  };
  if (zone.empty() || !std::ranges::all_of(zone, is_zone)) return bad(whole, "the zone after % is malformed");
  return std::string(address.substr(0, percent));
}

base::Result<Host> parse_ipv6(std::string_view inside, std::string_view whole) {
  TRY_ASSIGN(const std::string address, without_zone(inside, whole));
  const bool plain = std::ranges::all_of(address, [](char c) { return is_hex(c) || c == ':' || c == '.'; });
  in6_addr bytes{};
  if (!plain || inet_pton(AF_INET6, address.c_str(), &bytes) != 1) return bad(whole, "no IPv6 address");
  char text[INET6_ADDRSTRLEN];
  if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
    inet_ntop(AF_INET, &bytes.s6_addr[12], text, sizeof text);
  } else {
    inet_ntop(AF_INET6, &bytes, text, sizeof text);
  }
  return Host{.is_address = true, .text = text};
}

/// Whether a resolver might read a text that ends so as an IPv4 address.
bool is_numeric(std::string_view label) {
  if (std::ranges::all_of(label, is_digit)) return true;
  return label.starts_with("0x") && std::ranges::all_of(label.substr(2), is_hex);
}

/// `name`: in lower case, without its last dot.
base::Status check_name(std::string_view name, std::string_view whole) {
  if (name.size() > kNameBytesMax) return bad(whole, "it is longer than 253 characters");
  for (std::string_view rest = name;;) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (label.empty()) return bad(whole, "a part between its dots is empty");
    if (label.size() > kLabelBytesMax) return bad(whole, "a part of it is longer than 63 characters");
    const auto is_label = [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
    };
    if (!std::ranges::all_of(label, is_label)) {
      return bad(whole,
                 "only letters, digits, - and _ may stand between its dots (an international name is "
                 "written in its xn-- form)");
    }
    if (dot != std::string_view::npos) {
      rest.remove_prefix(dot + 1);
    } else if (is_numeric(label)) {
      return bad(whole, "an IPv4 address is four decimal numbers up to 255, without leading zeros");
    } else {
      return {};
    }
  }
}

base::Result<Host> parse_ipv4_or_name(std::string_view text) {
  if (text.empty()) return bad(text, "it is empty");
  Host host;
  host.text.resize(text.size());
  std::ranges::transform(text, host.text.begin(), lower);
  if (host.text.ends_with('.')) host.text.pop_back();
  in_addr bytes{};
  const bool plain = std::ranges::all_of(host.text, [](char c) { return is_digit(c) || c == '.'; });
  if (plain && inet_pton(AF_INET, host.text.c_str(), &bytes) == 1) {
    host.is_address = true;
    return host;
  }
  TRY(check_name(host.text, text));
  return host;
}

base::Result<std::optional<std::uint16_t>> parse_port(std::string_view port, std::string_view whole) {
  if (port.empty()) return std::optional<std::uint16_t>();  // RFC 3986: "host:" has none
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size()) {
    return bad(whole, "the port is no number up to 65535");
  }
  return std::optional(number);
}

}  // namespace

bool Host::is_this_machine() const {
  return is_address ? text.starts_with("127.") || text == "::1" : text == "localhost";
}

base::Result<Host> parse_host(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) return parse_ipv6(text.substr(1, text.size() - 2), text);
  if (text.find(':') != std::string_view::npos) return parse_ipv6(text, text);
  return parse_ipv4_or_name(text);
}

base::Result<Authority> parse_authority(std::string_view text) {
  const bool bracketed = text.starts_with('[');
  const std::size_t closing = bracketed ? text.find(']') : 0;
  if (closing == std::string_view::npos) return bad(text, "a ] is missing");
  const std::size_t end = bracketed ? closing + 1 : std::min(text.find(':'), text.size());
  if (end < text.size() && text[end] != ':') return bad(text, "only a port may follow the ]");
  TRY_ASSIGN(Host host, bracketed ? parse_ipv6(text.substr(1, closing - 1), text)
                                  : parse_ipv4_or_name(text.substr(0, end)));
  Authority authority{.host = std::move(host)};
  if (end < text.size()) {
    TRY_ASSIGN(authority.port, parse_port(text.substr(end + 1), text));
  }
  return authority;
}

base::Result<Origin> parse_origin(std::string_view text) {
  const std::size_t colon = text.find("://");
  std::string scheme(text.substr(0, colon == std::string_view::npos ? 0 : colon));
  std::ranges::transform(scheme, scheme.begin(), lower);
  const bool tls = scheme == "https";
  if (!tls && scheme != "http") {
    return base::invalid(fmt::format("'{}' is no origin that begins with http:// or https://", shown(text)));
  }
  TRY_ASSIGN(Authority authority, parse_authority(text.substr(colon + 3)));
  const std::uint16_t usual = tls ? 443 : 80;
  return Origin{.host = std::move(authority.host), .port = authority.port.value_or(usual), .tls = tls};
}

base::Result<HostPattern> HostPattern::parse(std::string_view text) {
  const bool below = text.starts_with("*.");
  TRY_ASSIGN(Host host, parse_host(below ? text.substr(2) : text));
  if (below && host.is_address) return bad(text, "only names have others below them");
  return HostPattern(std::move(host), below);
}

bool HostPattern::matches(const Host& host) const {
  if (!below_) return host == host_;
  return !host.is_address && host.text.size() > host_.text.size() + 1 && host.text.ends_with(host_.text) &&
         host.text[host.text.size() - host_.text.size() - 1] == '.';
}

}  // namespace pmt::net
