#include "upstream/balanced_completer.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/guard.h"
#include "llm/guarded_sink.h"
#include "upstream/remote_forwarder.h"
#include "upstream/upstream_call.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

/// What both kinds of requests share: whom was asked, and who is next.
class Attempts {
 public:
  /// One that has no beginning to be found again.
  Attempts(ServerPool& pool, const Retries& retries) : pool_(pool), retries_(retries) {}
  Attempts(ServerPool& pool, const Retries& retries, const llm::Request& request)
      : pool_(pool), retries_(retries), conversation_(conversation_of(request)) {
    if (pool.options().choice.balance == Balance::kPrefix) chain_ = chain_of(request);
  }

  /// Takes the next attempt's place. Errors: nobody takes it.
  base::Status next() {
    base::Status taken = take(tried_);
    // Who failed before the wait is asked again only where nobody else is.
    if (!taken && waits_ > 0) taken = take(0);
    return taken;
  }
  std::size_t server() const { return place_->server(); }
  int count() const { return count_; }
  bool waited() const { return waits_ > 0; }

  /// `counts`: the failure says something about the server.
  void failed(const base::Error& error, bool counts) {
    if (!place_) return;
    if (is_retryable(error.code)) {
      if (counts) place_->failed(error);
    } else if (error.code != base::Code::kCancelled) {
      place_->succeeded();
    }
    place_.reset();
  }
  void succeeded() {
    place_->succeeded();
    place_.reset();
  }

  /// Seconds until another attempt, all having been asked. Null: there is none.
  std::optional<double> wait_s(const base::Error& error, double random) {
    const bool may = waits_ < retries_.attempts_more && error.retry_after_s <= retries_.retry_after_max_s;
    if (!may) return {};
    ++waits_;
    tried_ = last_;
    return backoff_s(retries_, waits_, error.retry_after_s, random);
  }

 private:
  base::Status take(std::uint64_t tried) {
    auto place = pool_.take({.conversation = conversation_, .chain = chain_, .tried = tried});
    if (!place) return place.error();
    last_ = std::uint64_t{1} << place->server();
    tried_ = tried | last_;
    ++count_;
    place_.emplace(std::move(*place));
    return {};
  }

  ServerPool& pool_;
  const Retries& retries_;
  const std::optional<std::uint64_t> conversation_ = {};
  std::vector<std::uint64_t> chain_;
  std::optional<ServerPool::Place> place_;
  std::uint64_t tried_ = 0, last_ = 0;  // bits of servers
  int count_ = 0, waits_ = 0;
};

/// The options of one of them: it is asked once, and only the pool leaves it alone.
RemoteOptions of_server(RemoteOptions options, const PoolServer& server) {
  options.base_url = server.url;
  options.retries.attempts_more = 0;
  options.cooldown.failures = 0;
  return options;
}

struct Parts {
  ServerPool& pool;
  net::AsyncClient& client;
  const base::Clock& clock;
  std::function<double()> random;
};

struct Counters {
  std::atomic<std::uint64_t> requests{0}, completed{0}, failed{0}, cancelled{0}, again{0};
};

class Balanced final : public RemoteCompleter {
 public:
  Balanced(RemoteOptions options, Parts parts) : options_(std::move(options)), parts_(std::move(parts)) {
    for (const PoolServer& server : parts_.pool.options().servers) {
      servers_.push_back(
          RemoteCompleter::create(of_server(options_, server), parts_.client, parts_.clock, parts_.random));
    }
  }
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;
  RemoteStats stats() const override;
  const RemoteOptions& options() const override { return options_; }
  double cooling_s() const override { return parts_.pool.down_s(); }

 private:
  friend class BalancedCall;
  /// It refuses requests before it sends them: too many wait here, which says nothing about the server.
  bool is_full(std::size_t server) const {
    const RemoteStats stats = servers_[server]->stats();
    return stats.running >= options_.concurrent_max && stats.waiting >= options_.queue_max;
  }

  const RemoteOptions options_;
  const Parts parts_;
  std::vector<std::unique_ptr<RemoteCompleter>> servers_;
  Counters count_;
};

/// One request, over all its attempts. Thread-safety: as a Sink; ask() once from outside.
class BalancedCall final : public llm::Sink, public std::enable_shared_from_this<BalancedCall> {
 public:
  BalancedCall(Balanced& all, llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel)
      : all_(all),
        request_(std::move(request)),
        sink_(std::make_shared<llm::GuardedSink>(std::move(sink), request_.id)),
        cancel_(std::move(cancel)),
        attempts_(all.parts_.pool, all.options_.retries, request_),
        began_at_(all.parts_.clock.now()) {}

  void ask() {
    const base::Status ran = base::guarded({base::Thread::kUpstream, request_.id}, [this] { place(); });
    if (!ran) finish(llm::Failed{ran.error()});
  }

  void on_event(llm::Event&& event) override {
    if (!sink_) return;
    if (auto* failed = std::get_if<llm::Failed>(&event)) return settle(std::move(failed->error));
    if (std::holds_alternative<llm::Started>(event)) {
      held_ = std::move(event);
      return;
    }
    passed_on_ = true;
    if (held_) sink_->on_event(*std::exchange(held_, std::nullopt));
    if (auto* done = std::get_if<llm::Done>(&event)) return end(std::move(*done));
    sink_->on_event(std::move(event));
  }

 private:
  void place() {
    if (const base::Status placed = attempts_.next(); !placed) return finish(llm::Failed{placed.error()});
    start();
  }
  void start() {
    llm::Request request = request_;
    if (request.budget.seconds) request.budget.seconds = std::max(0.0, *request.budget.seconds - used_s());
    all_.servers_[attempts_.server()]->start(std::move(request), shared_from_this(), cancel_);
  }

  double used_s() const { return base::ms_between(began_at_, all_.parts_.clock.now()) / 1e3; }

  void end(llm::Done done) {
    nlohmann::json& upstream = done.report.upstream;
    upstream["server"] = attempts_.server() + 1;
    upstream["attempts"] = attempts_.count();
    if (!errors_.empty()) upstream["errors"] = std::move(errors_);
    attempts_.succeeded();
    finish(std::move(done));
  }

  /// An attempt has failed.
  void settle(base::Error error) {
    // The caller's own limit says nothing about the server.
    const bool too_late = request_.budget.seconds && used_s() >= *request_.budget.seconds;
    attempts_.failed(error, /*counts=*/!too_late && !all_.is_full(attempts_.server()));
    const bool may = !passed_on_ && !too_late && !cancel_.cancelled() && is_retryable(error);
    errors_.push_back(error.message);
    if (may && ask_another(error)) return;
    if (attempts_.count() > 1) error.message += fmt::format(" ({} attempts)", attempts_.count());
    finish(llm::Failed{std::move(error)});
  }

  bool ask_another(const base::Error& error) {
    held_.reset();
    if (!attempts_.waited() && attempts_.next()) {
      ++all_.count_.again;
      start();
      return true;
    }
    const std::optional<double> wait_s = attempts_.wait_s(error, all_.parts_.random());
    if (!wait_s) return false;
    if (request_.budget.seconds && *wait_s >= *request_.budget.seconds - used_s()) return false;
    ++all_.count_.again;
    all_.parts_.client.after(
        *wait_s, [self = shared_from_this()] { self->ask(); }, cancel_);
    return true;
  }

  void finish(llm::Event last) {
    if (!sink_) return;
    const auto* failed = std::get_if<llm::Failed>(&last);
    if (failed == nullptr) {
      ++all_.count_.completed;
    } else if (failed->error.code == base::Code::kCancelled) {
      ++all_.count_.cancelled;
    } else {
      ++all_.count_.failed;
    }
    std::exchange(sink_, nullptr)->on_event(std::move(last));
  }

  Balanced& all_;
  const llm::Request request_;
  std::shared_ptr<llm::GuardedSink> sink_;  // null after its last event
  const base::CancelToken cancel_;
  Attempts attempts_;
  const base::Nanos began_at_;
  bool passed_on_ = false;  // anything
  std::optional<llm::Event> held_;
  nlohmann::json errors_ = nlohmann::json::array();  // of the attempts that failed
};

void Balanced::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  ++count_.requests;
  std::make_shared<BalancedCall>(*this, std::move(request), std::move(sink), std::move(cancel))->ask();
}

RemoteStats Balanced::stats() const {
  RemoteStats out{.requests = count_.requests,
                  .completed = count_.completed,
                  .failed = count_.failed,
                  .cancelled = count_.cancelled};
  for (const auto& server : servers_) {
    const RemoteStats stats = server->stats();
    out.attempts += stats.attempts;
    out.prompt_tokens += stats.prompt_tokens;
    out.completion_tokens += stats.completion_tokens;
    out.running += stats.running;
    out.waiting += stats.waiting;
  }
  out.retries = count_.again;
  return out;
}

class BalancedForwarder final : public llm::Forwarder {
 public:
  BalancedForwarder(RemoteOptions options, const std::string& target, Parts parts)
      : options_(std::move(options)), parts_(std::move(parts)) {
    for (const PoolServer& server : parts_.pool.options().servers) {
      servers_.push_back(
          make_forwarder(of_server(options_, server), target, parts_.client, parts_.clock, parts_.random));
    }
  }
  void forward(Asked asked, const base::CancelToken& cancel, Done done) override;

 private:
  friend class ForwardedCall;
  const RemoteOptions options_;
  const Parts parts_;
  std::vector<std::unique_ptr<llm::Forwarder>> servers_;
};

/// One forwarded request, over all its attempts.
class ForwardedCall final : public std::enable_shared_from_this<ForwardedCall> {
 public:
  ForwardedCall(const BalancedForwarder& all, llm::Forwarder::Asked asked, const base::CancelToken& cancel,
                llm::Forwarder::Done done)
      : all_(all),
        asked_(std::move(asked)),
        cancel_(cancel),
        done_(std::move(done)),
        attempts_(all.parts_.pool, all.options_.retries) {}

  void ask() {
    base::Status placed;
    const base::Status ran = base::guarded({base::Thread::kUpstream, asked_.id}, [&] {
      placed = attempts_.next();
      if (placed) start();
    });
    if (!ran || !placed) finish(ran ? placed.error() : ran.error());
  }

 private:
  void start() {
    all_.servers_[attempts_.server()]->forward(asked_, cancel_,
                                               [self = shared_from_this()](base::Result<std::string> answer) {
                                                 if (!answer) return self->settle(answer.error());
                                                 self->attempts_.succeeded();
                                                 self->finish(std::move(answer));
                                               });
  }
  void settle(const base::Error& error) {
    attempts_.failed(error, /*counts=*/true);
    if (cancel_.cancelled() || !is_retryable(error)) return finish(error);
    if (!attempts_.waited() && attempts_.next()) return start();
    const std::optional<double> wait_s = attempts_.wait_s(error, all_.parts_.random());
    if (!wait_s) return finish(error);
    all_.parts_.client.after(
        *wait_s, [self = shared_from_this()] { self->ask(); }, cancel_);
  }
  void finish(base::Result<std::string> answer) {
    if (const auto done = std::exchange(done_, nullptr)) done(std::move(answer));
  }

  const BalancedForwarder& all_;
  const llm::Forwarder::Asked asked_;
  const base::CancelToken cancel_;
  llm::Forwarder::Done done_;
  Attempts attempts_;
};

void BalancedForwarder::forward(Asked asked, const base::CancelToken& cancel, Done done) {
  std::make_shared<ForwardedCall>(*this, std::move(asked), cancel, std::move(done))->ask();
}

}  // namespace

std::unique_ptr<RemoteCompleter> make_balanced_completer(const RemoteOptions& options, ServerPool& pool,
                                                         net::AsyncClient& client, const base::Clock& clock,
                                                         std::function<double()> random) {
  return std::make_unique<Balanced>(options, Parts{pool, client, clock, std::move(random)});
}

std::unique_ptr<llm::Forwarder> make_balanced_forwarder(const RemoteOptions& options,
                                                        const std::string& target, ServerPool& pool,
                                                        net::AsyncClient& client, const base::Clock& clock,
                                                        std::function<double()> random) {
  return std::make_unique<BalancedForwarder>(options, target, Parts{pool, client, clock, std::move(random)});
}

}  // namespace pmt::upstream
