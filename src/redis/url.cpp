#include "redis/url.h"

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/percent.h"

namespace pmt::redis {
namespace {

constexpr int kDatabaseMax = 1'000'000;

base::Error wrong(std::string_view what) {
  return base::invalid(
      fmt::format("{}; it looks like redis://host:6379, rediss://user@host:6379/0 or "
                  "unix:///run/redis.sock",
                  what));
}

/// -1 where it is none.
int number(std::string_view text, int max) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value <= max ? value : -1;
}

base::Result<std::string> decoded(std::string_view text, const char* what) {
  auto plain = base::percent_decoded(text);
  if (!plain)
    return wrong(
        fmt::format("a % in its {} must be followed by two hex digits: write %25 for a % itself", what));
  return *std::move(plain);
}

/// Takes what stands before `mark` from `rest`, and the mark; null without one.
std::optional<std::string_view> take_before(std::string_view& rest, std::size_t mark) {
  if (mark == std::string_view::npos) return std::nullopt;
  const std::string_view before = rest.substr(0, mark);
  rest.remove_prefix(mark + 1);
  return before;
}

base::Status read_login(std::string_view who, Login& login) {
  const auto colon = who.find(':');
  TRY_ASSIGN(login.user, decoded(who.substr(0, colon), "user"));
  if (colon == std::string_view::npos) return {};
  TRY_ASSIGN(login.password, decoded(who.substr(colon + 1), "password"));
  return {};
}

base::Status read_database(std::string_view text, Login& login) {
  login.database = text.empty() ? 0 : number(text, kDatabaseMax);
  if (login.database < 0) return wrong("its database must be a number");
  return {};
}

base::Status read_query(std::string_view query, Login& login) {
  constexpr std::string_view kDatabase = "db=";
  if (!query.starts_with(kDatabase))
    return wrong("after a ? it takes db=NUMBER alone: other settings have keys of their own");
  return read_database(query.substr(kDatabase.size()), login);
}

base::Status read_host(std::string_view rest, Endpoint& out) {
  const auto bracket = rest.find(']');
  const auto colon = rest.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    out.port = number(rest.substr(colon + 1), 65'535);
    if (out.port <= 0) return wrong("its port must be 1 to 65535");
    rest = rest.substr(0, colon);
  }
  if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
  if (rest.empty()) return wrong("it names no host");
  out.host = rest;
  return {};
}

struct Scheme {
  std::string_view name;
  bool tls = false;
  bool socket = false;
};
constexpr Scheme kSchemes[] = {{.name = "redis://"},
                               {.name = "valkey://"},
                               {.name = "rediss://", .tls = true},
                               {.name = "valkeys://", .tls = true},
                               {.name = "unix://", .socket = true},
                               {.name = "redis+unix://", .socket = true}};

}  // namespace

base::Result<Address> parse_url(const std::string& url) {
  const Scheme* scheme = nullptr;
  for (const Scheme& one : kSchemes) {
    if (url.starts_with(one.name)) scheme = &one;
  }
  if (scheme == nullptr) return wrong("must begin with redis://, rediss:// (TLS) or unix://");
  Address out;
  out.tls = scheme->tls;
  std::string_view rest = std::string_view(url).substr(scheme->name.size());
  if (const auto who = take_before(rest, rest.rfind('@'))) TRY(read_login(*who, out.login));
  const std::size_t mark = rest.find('?');
  const std::string_view query = mark == std::string_view::npos ? "" : rest.substr(mark + 1);
  rest = rest.substr(0, mark);
  if (scheme->socket) {
    if (!rest.starts_with('/')) return wrong("the path of its socket must begin with /");
    TRY_ASSIGN(out.endpoint.socket, decoded(rest, "path"));
  } else {
    std::string_view host = rest;
    if (const auto before = take_before(rest, rest.find('/'))) {
      host = *before;
      TRY(read_database(rest, out.login));
    }
    TRY(read_host(host, out.endpoint));
  }
  if (!query.empty()) TRY(read_query(query, out.login));
  return out;
}

}  // namespace pmt::redis
