// A server's URL taken apart. Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace pmt::net {

struct Url {
  bool tls = false;
  std::string host = {};
  std::string port = {};
  std::string authority = {};  // as the Host header wants it
  std::string path = {};       // "" or "/v1", without a last slash

  /// scheme://authority
  std::string origin() const { return (tls ? "https://" : "http://") + authority; }
};

/// http://host[:port][/path] or https://...; an IPv6 host stands in brackets. Errors: kInvalidArgument,
/// saying what is wrong with it.
base::Result<Url> parse_url(const std::string& text);

}  // namespace pmt::net
