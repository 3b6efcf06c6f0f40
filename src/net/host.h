// Where a request says that it goes to or comes from (a Host header, an Origin, a host in a configuration),
// as an IP address or a name: parsed once, compared as such. "127.attacker.example" is a name; "LocalHost",
// "localhost.", 127.1.2.3 and every spelling of ::1 are this machine.
//
// Addresses have one spelling for IPv4 (four decimal numbers) and RFC 4291's for IPv6. What a resolver might
// also read as an address (2130706433, 0x7f.1, 0177.0.0.1, 127.1) is neither an address nor a name here:
// browsers rewrite it before they send it, so nothing that should get in says it (WHATWG URL, "ends in a
// number"). Names are ASCII: an international one is written in its xn-- form.
// Thread-safety: pure functions of plain data. Errors: kInvalidArgument, saying what is wrong with the text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pmt::net {

struct Host {
  bool is_address = false;
  /// Canonical: an address as inet_ntop writes it (an IPv4 one mapped into IPv6 as IPv4, without a zone), a
  /// name in lower case without its last dot.
  std::string text = {};

  bool operator==(const Host&) const = default;
  /// 127.0.0.0/8, ::1 or localhost.
  bool is_this_machine() const;
};

struct Authority {
  Host host;
  std::optional<std::uint16_t> port = {};
};

/// What a browser says a page comes from.
struct Origin {
  Host host;
  std::uint16_t port;  // the scheme's own where none is written
  bool tls;
};

/// A host alone; an IPv6 address stands in brackets or not.
base::Result<Host> parse_host(std::string_view text);
/// host[:port], as a Host header has it; an IPv6 address stands in brackets. No user, no path.
base::Result<Authority> parse_authority(std::string_view text);
/// http://host[:port] or https://..., and nothing after it. "null" and other schemes are errors.
base::Result<Origin> parse_origin(std::string_view text);

/// Some hosts: one, or "*.example.org", every name below that one.
class HostPattern {
 public:
  static base::Result<HostPattern> parse(std::string_view text);
  bool matches(const Host& host) const;

 private:
  HostPattern(Host host, bool below) : host_(std::move(host)), below_(below) {}
  Host host_;
  bool below_;
};

}  // namespace pmt::net
