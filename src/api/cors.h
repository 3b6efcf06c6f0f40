// Which pages of other origins may read what this server answers (CORS, WHATWG Fetch 3.2). A browser asks with a
// preflight, which carries no key, and shows an answer to a page only where the answer allows its origin.
//
//   [server] cors_origins | a page that is listed        | a page that isn't
//   [] (the default)      | -                            | no header
//   ["https://a.example"] | its own origin, Vary: Origin | no header, Vary: Origin
//   ["*"]                 | *                            | -
// Keys are asked all the same: they come in a header that a page must know, so no cookie or other credential of
// the browser's is allowed. Thread-safety: immutable.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/host.h"
#include "net/http.h"

namespace pmt::api {

class Cors {
 public:
  /// No origin.
  Cors() = default;
  /// Each a page's origin, http://host[:port] or https://..., or "*" for any; also that of a program with a
  /// scheme of its own, tauri://localhost. Errors: kInvalidArgument.
  static base::Result<Cors> create(const std::vector<std::string>& origins);

  /// Whether a page of this origin (a request's Origin header) may read the answer.
  bool allows(std::string_view origin) const;
  /// What every answer to this request says of it.
  net::Headers headers(const net::HttpRequest& request) const;

  bool is_preflight(const net::HttpRequest& request) const;
  /// Its answer; `methods`: that its path takes. Requires: is_preflight.
  net::HttpResponse preflight(const net::HttpRequest& request, const std::string& methods) const;

 private:
  std::vector<net::Origin> origins_;
  std::vector<std::string> others_;  // of other schemes, as written
  bool any_ = false;
};

}  // namespace pmt::api
