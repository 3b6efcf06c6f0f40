#include "net/fetch.h"

#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/version.h"
#include "net/link.h"

namespace pmt::net {
namespace {

constexpr int kRedirectsMax = 10;
constexpr double kTotalTimeoutS = 14.0 * 24 * 3600;  // a file of 100 GB may take days: only silence ends it
constexpr std::size_t kRefusalBytesMax = 64 * 1024;

std::string_view find(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

/// Hands one answer on to the hooks, and its end to who waits.
class Waiting final : public ExchangeListener {
 public:
  explicit Waiting(const FetchHooks& hooks) : hooks_(hooks) {}

  void on_head(int status, const Headers& headers) override {
    answer_.status = status;
    answer_.headers = headers;
    if (is_fine() && hooks_.on_head) refused_ = hooks_.on_head(answer_);
  }
  bool on_body(std::string_view bytes) override {
    if (!is_fine()) {
      answer_.body.append(
          bytes.substr(0, kRefusalBytesMax - std::min(kRefusalBytesMax, answer_.body.size())));
    } else if (refused_ && hooks_.on_body) {
      refused_ = hooks_.on_body(bytes);
    }
    return refused_.has_value();
  }
  void on_end(base::Status status) override {
    end_.set_value(refused_ ? std::move(status) : std::move(refused_));
  }

  base::Result<FetchAnswer> wait() {
    TRY(end_.get_future().get());
    return std::move(answer_);
  }

 private:
  bool is_fine() const { return answer_.status / 100 == 2; }

  const FetchHooks& hooks_;
  FetchAnswer answer_;
  base::Status refused_;
  std::promise<base::Status> end_;
};

AsyncCall call_for(const Fetch& what, const Link& link, bool at_home) {
  AsyncCall call{.url = link.server, .method = "GET", .target = link.target, .headers = what.headers};
  call.headers.emplace_back("user-agent", std::string("permutation/") + base::kVersion);
  if (at_home && !what.bearer.empty()) call.headers.emplace_back("authorization", "Bearer " + what.bearer);
  call.connect_timeout_s = call.first_byte_timeout_s = call.stall_timeout_s = what.stall_timeout_s;
  call.total_timeout_s = kTotalTimeoutS;
  return call;
}

/// The link that an answer redirects to; none: it is the answer.
base::Result<std::optional<Link>> next_link(const Link& from, const FetchAnswer& answer) {
  const int status = answer.status;
  if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308) return std::nullopt;
  const std::string location(find(answer.headers, "location"));
  const auto next = follow(from, location);
  if (location.empty() || !next) {
    return base::Error{base::Code::kBadGateway, fmt::format("{} redirects to nowhere ('{}')",
                                                            from.server.origin(), location.substr(0, 200))};
  }
  if (from.server.tls && !next->server.tls) {
    return base::Error{base::Code::kBadGateway,
                       fmt::format("{} redirects to {}, which has no TLS: that isn't followed",
                                   from.server.origin(), next->server.origin())};
  }
  return *next;
}

}  // namespace

std::string_view FetchAnswer::header(std::string_view name) const {
  const std::string_view own = find(headers, name);
  return own.empty() ? find(redirects, name) : own;
}

base::Result<FetchAnswer> fetch(AsyncClient& client, const Fetch& what, const FetchHooks& hooks,
                                const base::CancelToken& cancel) {
  TRY_ASSIGN(Link link, parse_link(what.url));
  const std::string home = link.server.origin();
  Headers redirects;
  for (int redirect = 0; redirect <= kRedirectsMax; ++redirect) {
    const auto waiting = std::make_shared<Waiting>(hooks);
    client.start(call_for(what, link, link.server.origin() == home), waiting, cancel);
    TRY_ASSIGN(FetchAnswer answer, waiting->wait());
    TRY_ASSIGN(const std::optional<Link> next, next_link(link, answer));
    if (!next) {
      answer.redirects = std::move(redirects);
      return answer;
    }
    std::ranges::move(answer.headers, std::back_inserter(redirects));
    link = *next;
  }
  return base::Error{base::Code::kBadGateway,
                     fmt::format("{} redirects more than {} times", home, kRedirectsMax)};
}

}  // namespace pmt::net
