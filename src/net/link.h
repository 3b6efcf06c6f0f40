// A link: a server, and the path and query that it is asked for. Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/url.h"

namespace pmt::net {

struct Link {
  Url server = {};           // without a path
  std::string target = "/";  // path and query

  std::string text() const { return server.origin() + target; }
};

/// What follows a # is left out. Errors: as parse_url.
base::Result<Link> parse_link(const std::string& text);

/// Where an answer's Location leads: another link, or a path beside the one that was asked for. Errors: as parse_url.
base::Result<Link> follow(const Link& from, const std::string& location);

/// A path's bytes as a URL has them: letters, digits, "-._~" and "/" stay.
std::string percent_encoded(std::string_view path);

/// By its name or address: what is sent there doesn't leave this machine.
bool is_this_machine(const Url& url);

}  // namespace pmt::net
