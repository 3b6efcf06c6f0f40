#include "api/cors.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "api/errors.h"

namespace pmt::api {
namespace {

/// What a page may read beside the body. A browser has no prefix for it, so each is named.
constexpr char kExposed[] =
    "x-request-id, request-id, x-permutation-cache, x-permutation-cache-key, x-permutation-tokens-saved, "
    "x-permutation-usd-saved, age, retry-after, www-authenticate, x-ratelimit-limit-requests, "
    "x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, "
    "x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";
/// How long a browser needn't ask again: two hours, the most that any keeps.
constexpr char kMaxAgeS[] = "7200";

bool same(const net::Origin& a, const net::Origin& b) {
  return a.host == b.host && a.port == b.port && a.tls == b.tls;
}

/// An origin as programs have it that show pages of their own: "tauri://localhost", "app://obsidian.md".
bool is_other_scheme(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view scheme = text.substr(0, colon), host = text.substr(colon + 3);
  const auto of_scheme = [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '+' || c == '-' || c == '.';
  };
  const auto of_host = [](unsigned char c) { return c > ' ' && c < 0x7F && c != '/' && c != '*'; };
  return scheme != "http" && scheme != "https" && std::ranges::all_of(scheme, of_scheme) && !host.empty() &&
         std::ranges::all_of(host, of_host);
}

}  // namespace

base::Result<Cors> Cors::create(const std::vector<std::string>& origins) {
  Cors cors;
  for (const std::string& text : origins) {
    if (text == "*") {
      cors.any_ = true;
    } else if (auto origin = net::parse_origin(text)) {
      cors.origins_.push_back(*std::move(origin));
    } else if (is_other_scheme(text)) {
      cors.others_.push_back(text);
    } else {
      return base::invalid(
          fmt::format("names \"{}\", which is no page's origin: {}. It looks like "
                      "\"https://chat.example.org\" or \"http://localhost:3000\", without a path; "
                      "\"*\" is any page",
                      text, origin.error().message));
    }
  }
  return cors;
}

bool Cors::allows(std::string_view origin) const {
  if (origin.empty()) return false;
  if (any_ || std::ranges::find(others_, origin) != others_.end()) return true;
  const auto page = net::parse_origin(origin);
  return page && std::ranges::any_of(origins_, [&](const net::Origin& one) { return same(one, *page); });
}

net::Headers Cors::headers(const net::HttpRequest& request) const {
  net::Headers headers;
  if (!any_ && !(origins_.empty() && others_.empty())) headers.emplace_back("vary", "Origin");
  const std::string_view origin = request.header("origin");
  if (!allows(origin)) return headers;
  headers.emplace_back("access-control-allow-origin", any_ ? "*" : origin);
  headers.emplace_back("access-control-expose-headers", kExposed);
  return headers;
}

bool Cors::is_preflight(const net::HttpRequest& request) const {
  const bool none = !any_ && origins_.empty() && others_.empty();
  return !none && request.method == "OPTIONS" && !request.header("origin").empty() &&
         !request.header("access-control-request-method").empty();
}

net::HttpResponse Cors::preflight(const net::HttpRequest& request, const std::string& methods) const {
  if (!allows(request.header("origin"))) {
    return error_response(
        {base::Code::kForbidden,
         "Pages of this origin may not call this server: name it in [server] cors_origins."});
  }
  net::HttpResponse response{204, {}, ""};
  response.headers.emplace_back("access-control-allow-methods", methods);
  // Whichever: nothing here acts on one that a page could not send anyway.
  if (const auto wanted = request.header("access-control-request-headers"); !wanted.empty())
    response.headers.emplace_back("access-control-allow-headers", wanted);
  if (request.header("access-control-request-private-network") == "true")
    response.headers.emplace_back("access-control-allow-private-network", "true");
  response.headers.emplace_back("access-control-max-age", kMaxAgeS);
  return response;
}

}  // namespace pmt::api
