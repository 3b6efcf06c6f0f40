#include "upstream/remote_forwarder.h"

#include <optional>
#include <utility>

#include "base/guard.h"
#include "base/json.h"
#include "base/json_text.h"
#include "upstream/body_edit.h"
#include "upstream/call_queue.h"
#include "upstream/cooldown.h"
#include "upstream/upstream_call.h"

namespace pmt::upstream {
namespace {

/// `body` with another model's name, and without our own member.
std::string renamed(std::string_view body, const std::string& model) {
  const auto members = base::members_of(body);
  BodyEdit edit(body, members);
  edit.set("model", base::json_quoted(model));
  edit.remove("permutation");
  return edit.text();
}

/// What all calls to it share.
struct Endpoint {
  Endpoint(RemoteOptions how, std::string where, net::AsyncClient& over, const base::Clock& time,
           std::function<double()> chance)
      : options(std::move(how)),
        target(std::move(where)),
        client(over),
        clock(time),
        random(std::move(chance)),
        cooldown(options.cooldown, time),
        queue(options, over) {}
  const RemoteOptions options;
  const std::string target;
  net::AsyncClient& client;
  const base::Clock& clock;
  const std::function<double()> random;
  Cooldown cooldown;
  CallQueue queue;
};

/// One request, over all its attempts. Thread-safety: begin() once; then the client's thread.
class ForwardedCall final : public net::ExchangeListener, public std::enable_shared_from_this<ForwardedCall> {
 public:
  ForwardedCall(Endpoint& endpoint, llm::Forwarder::Asked asked, const base::CancelToken& cancel,
                llm::Forwarder::Done done)
      : endpoint_(endpoint), asked_(std::move(asked)), cancel_(cancel), done_(std::move(done)) {}

  void begin() {
    if (const base::Status ran = guarded([this] { attempt(); }); !ran) finish(ran.error());
  }

  void on_head(int status, const net::Headers& headers) override {
    const base::Status ran = guarded([&] {
      status_ = status;
      headers_ = headers;
    });
    if (!ran) failure_ = ran.error();
  }
  bool on_body(std::string_view bytes) override {
    const base::Status ran = guarded([&]() -> base::Status {
      if (answer_.size() + bytes.size() > endpoint_.options.answer_bytes_max)
        return base::Error{base::Code::kBadGateway, "its answer is too long"};
      answer_.append(bytes);
      return {};
    });
    if (!ran) failure_ = ran.error();
    return ran.has_value() && !failure_;
  }
  void on_end(base::Status status) override {
    if (failure_ && failure_->code == base::Code::kInternal) return finish(*failure_);
    const base::Status ran = guarded([&] { end(status); });
    if (!ran) finish(ran.error());
  }

 private:
  template <class Fn>
  base::Status guarded(Fn&& fn) {
    return base::guarded({base::Thread::kUpstream, asked_.id}, std::forward<Fn>(fn));
  }

  void attempt() {
    const RemoteOptions& options = endpoint_.options;
    if (cancel_.cancelled()) return finish(of_cancel(cancel_));
    if (const base::Status ready = check_cooldown(endpoint_.cooldown); !ready)
      return finish(named(ready.error(), options));
    ++attempts_;
    status_ = 0;
    headers_.clear();
    answer_.clear();
    failure_.reset();
    endpoint_.client.start(upstream_call(options, {.target = endpoint_.target,
                                                   .body = asked_.body,
                                                   .id = asked_.id,
                                                   .traceparent = asked_.traceparent,
                                                   .total_s = options.timeouts.total_s}),
                           shared_from_this(), cancel_);
  }

  base::Result<std::string> read(const base::Status& status) const {
    const auto garbage = [](std::string what) {
      return base::Error{base::Code::kBadGateway, std::move(what)};
    };
    if (failure_) return *failure_;
    if (!status) return of_exchange(status.error());
    TRY(check_status(status_, headers_, answer_, endpoint_.clock.unix_seconds()));
    const base::Status json = base::check_json(answer_, {.bytes_max = answer_.size()});
    if (!json) return garbage("its answer is " + json.error().message);
    if (answer_.find_first_not_of(" \t\r\n") != answer_.find('{'))
      return garbage("its answer is no JSON object");
    return renamed(answer_, endpoint_.options.name);
  }

  void end(const base::Status& status) {
    base::Result<std::string> answer = read(status);
    if (answer) {
      endpoint_.cooldown.succeeded();
      return finish(std::move(answer));
    }
    const base::Error& error = answer.error();
    if (error.code == base::Code::kCancelled) return finish(of_cancel(cancel_));
    note_failure(endpoint_.cooldown, endpoint_.options.retries, error);
    if (try_again(error)) return;
    finish(named(error, endpoint_.options));
  }

  bool try_again(const base::Error& error) {
    const Retries& retries = endpoint_.options.retries;
    if (cancel_.cancelled() || !may_retry(retries, error, attempts_)) return false;
    endpoint_.client.after(
        backoff_s(retries, attempts_, error.retry_after_s, endpoint_.random()),
        [self = shared_from_this()] { self->begin(); }, cancel_);
    return true;
  }

  /// The endpoint may be gone as soon as its caller has the answer.
  void finish(base::Result<std::string> answer) {
    const auto done = std::exchange(done_, nullptr);  // first: what follows may throw, and this is done once
    if (!done) return;
    (void)guarded([this] { endpoint_.queue.leave(); });
    base::survives({base::Thread::kSink, asked_.id}, [&] { done(std::move(answer)); });
  }

  Endpoint& endpoint_;
  const llm::Forwarder::Asked asked_;
  const base::CancelToken cancel_;
  llm::Forwarder::Done done_;  // null once it was called
  int attempts_ = 0;
  // Of this attempt:
  int status_ = 0;
  net::Headers headers_;
  std::string answer_;
  std::optional<base::Error> failure_;
};

class RemoteForwarder final : public llm::Forwarder {
 public:
  RemoteForwarder(RemoteOptions options, std::string target, net::AsyncClient& client,
                  const base::Clock& clock, std::function<double()> random)
      : endpoint_(std::move(options), std::move(target), client, clock, std::move(random)) {}
  void forward(Asked asked, const base::CancelToken& cancel, Done done) override {
    asked.body = renamed(asked.body, endpoint_.options.model);
    const auto call = std::make_shared<ForwardedCall>(endpoint_, std::move(asked), cancel, done);
    const base::Status entered = endpoint_.queue.enter([call] { call->begin(); });
    if (!entered) done(entered.error());
  }

 private:
  Endpoint endpoint_;
};

}  // namespace

std::unique_ptr<llm::Forwarder> make_forwarder(RemoteOptions options, std::string target,
                                               net::AsyncClient& client, const base::Clock& clock,
                                               std::function<double()> random) {
  return std::make_unique<RemoteForwarder>(std::move(options), std::move(target), client, clock,
                                           std::move(random));
}

}  // namespace pmt::upstream
