#include "upstream/server_pool.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include <fmt/format.h>

#include "base/check.h"

namespace pmt::upstream {
namespace {

/// What a probe's answer may be long: its status alone counts.
constexpr std::size_t kProbeBytesMax = 1U << 20;

/// A server may ask for any wait: 31 years will do, and can be added to a time.
base::Nanos nanos(double seconds) {
  constexpr double kLongestS = 1e9;
  seconds = std::min(seconds, kLongestS);
  return std::chrono::duration_cast<base::Nanos>(std::chrono::duration<double>(seconds));
}

}  // namespace

class ServerPool::Probe final : public net::ExchangeListener {
 public:
  Probe(ServerPool& pool, std::size_t at, bool health) : pool_(pool), at_(at), health_(health) {}

  void on_head(int status, const net::Headers&) override { status_ = status; }
  bool on_body(std::string_view bytes) override {
    bytes_ += bytes.size();
    return bytes_ < kProbeBytesMax;
  }
  void on_end(base::Status) override {
    constexpr int kOk = 2, kHundred = 100, kServersFault = 500;
    if (status_ / kHundred == kOk) return pool_.probed(at_, Verdict::kAlive);
    if (status_ == 0 || status_ >= kServersFault) return pool_.probed(at_, Verdict::kDead);
    // It is there, and has no such path or doesn't show it to us.
    if (health_) return pool_.probe(at_, /*health=*/false);
    pool_.probed(at_, Verdict::kUnknown);
  }

 private:
  ServerPool& pool_;
  const std::size_t at_;
  const bool health_;  // the first of the two paths
  int status_ = 0;     // 0: there was no answer
  std::size_t bytes_ = 0;
};

ServerPool::ServerPool(ServerPoolOptions options, net::AsyncClient& client, const base::Clock& clock)
    : options_(std::move(options)), client_(client), clock_(clock), servers_(options_.servers.size()) {
  CHECK(!servers_.empty() && servers_.size() <= kPoolServersMax);
  for (const PoolServer& server : options_.servers)
    ids_.push_back(server_id(server.url.origin() + server.url.path));
}

double ServerPool::rest_s(const Server& server) const {
  const base::Nanos until = std::max(server.down ? server.until : base::Nanos{0}, server.asked_until);
  return std::max(0.0, std::chrono::duration<double>(until - clock_.now()).count());
}

bool ServerPool::takes(const Server& server) const {
  return !server.draining && rest_s(server) <= 0;
}

std::vector<ServerLoad> ServerPool::loads(std::uint64_t tried) const {
  std::vector<ServerLoad> out;
  out.reserve(servers_.size());
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const bool may = (tried >> i & 1U) == 0 && takes(servers_[i]);
    out.push_back({.id = ids_[i], .in_flight = servers_[i].in_flight, .takes = may});
  }
  return out;
}

base::Result<ServerPool::Place> ServerPool::take(const Asked& asked) {
  const std::lock_guard lock(mutex_);
  const std::vector<ServerLoad> now = loads(asked.tried);
  ++taken_;
  ChoiceOptions choice = options_.choice;
  Wanted wanted{.conversation = asked.conversation.value_or(taken_)};
  if (!asked.conversation) choice.balance = Balance::kLeastBusy;
  const bool remembers = choice.balance == Balance::kPrefix;
  std::vector<Held> held;
  if (remembers) {
    held = sent_.held(asked.chain);
    wanted.last = sent_.place_of(wanted.conversation);
    wanted.blocks = asked.chain.size();
    wanted.held = held;
  }
  const std::optional<std::size_t> at = choose_server(choice, wanted, now);
  if (!at) return nobody();
  if (remembers) {
    // Before it was read there: who comes next goes the same way.
    sent_.sent(asked.chain, *at);
    if (wanted.last || *at != home_of(wanted.conversation, now)) sent_.moved(wanted.conversation, *at);
  }
  ++servers_[*at].in_flight;
  ++servers_[*at].requests;
  return Place(*this, *at);
}

base::Error ServerPool::nobody() const {
  std::size_t draining = 0;
  double wait_s = std::numeric_limits<double>::infinity();
  for (const Server& server : servers_) {
    if (server.draining) {
      ++draining;
    } else {
      wait_s = std::min(wait_s, rest_s(server));
    }
  }
  base::Error error{base::Code::kUnavailable,
                    fmt::format("upstream {}: none of its {} servers takes requests: {} drained, {} down",
                                options_.name, servers_.size(), draining, servers_.size() - draining)};
  if (wait_s < std::numeric_limits<double>::infinity()) error.retry_after_s = wait_s;
  return error;
}

void ServerPool::leave(std::size_t at) {
  const std::lock_guard lock(mutex_);
  --servers_[at].in_flight;
}

void ServerPool::succeeded(std::size_t at) {
  bool was_down = false;
  {
    const std::lock_guard lock(mutex_);
    servers_[at].failures = 0;
    was_down = std::exchange(servers_[at].down, false);
  }
  if (was_down) tell(at, "is back: it answered a request");
}

bool ServerPool::mark_down(Server& server, double rest_s) const {
  server.until = clock_.now() + nanos(rest_s);
  return !std::exchange(server.down, true);
}

void ServerPool::failed(std::size_t at, const base::Error& error) {
  bool newly = false, starts = false;
  {
    const std::lock_guard lock(mutex_);
    Server& server = servers_[at];
    ++server.failed;
    const int limit = options_.cooldown.failures;
    if (limit <= 0 || stop_.cancelled()) return;
    if (error.retry_after_s > options_.retry_after_max_s) {
      newly = !is_down(server);
      server.asked_until = std::max(server.asked_until, clock_.now() + nanos(error.retry_after_s));
    }
    if (++server.failures >= limit) {
      server.failures = limit - 1;  // one more is enough
      if (mark_down(server, options_.cooldown.cooldown_s)) {
        sent_.forget(at);
        newly = true;
      }
    }
    starts = server.down && !server.probing;
    if (starts) server.probing = true;
  }
  if (newly) tell(at, "is down: " + error.message);
  if (starts) watch(at);
}

/// Not under mutex_: a client that has stopped calls at once.
void ServerPool::watch(std::size_t at) {
  client_.after(
      options_.probe_interval_s, [this, at] { probe(at, /*health=*/true); }, stop_);
}

void ServerPool::probe(std::size_t at, bool health) {
  {
    const std::lock_guard lock(mutex_);
    Server& server = servers_[at];
    if (stop_.cancelled() || !server.down) {
      server.probing = false;
      return;
    }
    ++server.probes;
  }
  net::AsyncCall call{.url = options_.servers[at].url,
                      .method = "GET",
                      .target = health ? "/health" : "/models",
                      .headers = {{"accept", "application/json"}},
                      .connect_timeout_s = options_.probe_timeout_s,
                      .first_byte_timeout_s = options_.probe_timeout_s,
                      .stall_timeout_s = options_.probe_timeout_s,
                      .total_timeout_s = options_.probe_timeout_s};
  if (health) call.url.path.clear();
  if (!options_.api_key.empty()) call.headers.emplace_back("authorization", "Bearer " + options_.api_key);
  client_.start(std::move(call), std::make_shared<Probe>(*this, at, health), stop_);
}

void ServerPool::probed(std::size_t at, Verdict verdict) {
  bool back = false, goes_on = false;
  {
    const std::lock_guard lock(mutex_);
    Server& server = servers_[at];
    if (verdict == Verdict::kAlive) back = std::exchange(server.down, false);
    goes_on = server.down && !stop_.cancelled();  // a request may have found it back before
    server.probing = goes_on;
    if (goes_on && verdict == Verdict::kDead) (void)mark_down(server, options_.cooldown.cooldown_s);
  }
  if (back) tell(at, "is back: it answered a probe");
  if (goes_on) watch(at);
}

void ServerPool::tell(std::size_t at, const std::string& what) const {
  if (options_.on_change)
    options_.on_change(fmt::format("upstream {}: {} {}", options_.name, options_.servers[at].text, what));
}

base::Status ServerPool::set_draining(const std::string& url, bool draining) {
  std::string names;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const std::string& text = options_.servers[i].text;
    names += (names.empty() ? "" : ", ") + text;
    if (text != url) continue;
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      changed = std::exchange(servers_[i].draining, draining) != draining;
      if (changed && draining) sent_.forget(i);
    }
    if (changed) tell(i, draining ? "is drained: it gets no more requests" : "is put back");
    return {};
  }
  return base::Error{base::Code::kNotFound,
                     fmt::format("upstream {} has no server '{}'; it has {}", options_.name,
                                 std::string_view(url).substr(0, 200), names),
                     "server"};
}

std::vector<ServerStatus> ServerPool::status() const {
  const std::lock_guard lock(mutex_);
  std::vector<ServerStatus> out;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const Server& server = servers_[i];
    out.push_back({.url = options_.servers[i].text,
                   .down = is_down(server),
                   .draining = server.draining,
                   .down_s = rest_s(server),
                   .in_flight = server.in_flight,
                   .requests = server.requests,
                   .failed = server.failed,
                   .probes = server.probes});
  }
  return out;
}

double ServerPool::down_s() const {
  const std::lock_guard lock(mutex_);
  if (std::any_of(servers_.begin(), servers_.end(), [this](const Server& s) { return takes(s); })) return 0;
  return nobody().retry_after_s;
}

void ServerPool::stop() {
  stop_.cancel();
}

}  // namespace pmt::upstream
