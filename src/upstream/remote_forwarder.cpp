#include "upstream/remote_forwarder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"
#include "base/json.h"
#include "base/json_text.h"
#include "upstream/body_edit.h"
#include "upstream/upstream_call.h"
#include "upstream/upstream_error.h"

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

struct Endpoint {
  const RemoteOptions options;
  const std::string target;
  net::AsyncClient& client;
  const base::Clock& clock;
  const std::function<double()> random;
};

/// One request, over all its attempts.
class Call final : public net::ExchangeListener, public std::enable_shared_from_this<Call> {
 public:
  Call(const Endpoint& endpoint, llm::Forwarder::Asked asked, const base::CancelToken& cancel,
       llm::Forwarder::Done done)
      : endpoint_(endpoint), asked_(std::move(asked)), cancel_(cancel), done_(std::move(done)) {}

  void begin() {
    ++attempts_;
    status_ = 0;
    headers_.clear();
    answer_.clear();
    const RemoteOptions& options = endpoint_.options;
    endpoint_.client.start(upstream_call(options, {.target = endpoint_.target,
                                                   .body = asked_.body,
                                                   .id = asked_.id,
                                                   .traceparent = asked_.traceparent,
                                                   .total_s = options.timeouts.total_s}),
                           shared_from_this(), cancel_);
  }

  void on_head(int status, const net::Headers& headers) override {
    status_ = status;
    headers_ = headers;
  }
  bool on_body(std::string_view bytes) override {
    too_long_ = answer_.size() + bytes.size() > endpoint_.options.answer_bytes_max;
    if (!too_long_) answer_.append(bytes);
    return !too_long_;
  }
  void on_end(base::Status status) override {
    base::Result<std::string> answer = base::Error{};
    const base::Status ran =
        base::guarded({base::Thread::kUpstream, asked_.id}, [&] { answer = read(status); });
    if (!ran) answer = ran.error();
    if (!answer && try_again(answer.error())) return;
    if (!answer) answer = named(answer.error(), endpoint_.options);
    std::exchange(done_, nullptr)(std::move(answer));
  }

 private:
  base::Result<std::string> read(const base::Status& status) const {
    const auto garbage = [](std::string what) {
      return base::Error{base::Code::kBadGateway, std::move(what)};
    };
    if (too_long_) return garbage("its answer is too long");
    if (!status) {
      base::Error error = status.error();
      const bool broke = error.code == base::Code::kIo || error.code == base::Code::kCorrupt;
      if (broke) error.code = base::Code::kBadGateway;
      return error;
    }
    if (status_ >= 400) return status_error(status_, headers_, answer_, endpoint_.clock.unix_seconds());
    const base::Status json = base::check_json(answer_, {.bytes_max = answer_.size()});
    if (!json) return garbage("its answer is " + json.error().message);
    if (answer_.find_first_not_of(" \t\r\n") != answer_.find('{'))
      return garbage("its answer is no JSON object");
    return renamed(answer_, endpoint_.options.name);
  }

  bool try_again(const base::Error& error) {
    const Retries& retries = endpoint_.options.retries;
    const bool may = is_retryable(error) && attempts_ <= retries.attempts_more && !cancel_.cancelled() &&
                     error.retry_after_s <= retries.retry_after_max_s;
    if (!may) return false;
    endpoint_.client.after(
        backoff_s(retries, attempts_, error.retry_after_s, endpoint_.random()),
        [self = shared_from_this()] { self->begin(); }, cancel_);
    return true;
  }

  const Endpoint& endpoint_;
  const llm::Forwarder::Asked asked_;
  const base::CancelToken cancel_;
  llm::Forwarder::Done done_;
  int attempts_ = 0;
  int status_ = 0;
  net::Headers headers_;
  std::string answer_;
  bool too_long_ = false;
};

class RemoteForwarder final : public llm::Forwarder {
 public:
  explicit RemoteForwarder(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  void forward(Asked asked, const base::CancelToken& cancel, Done done) override {
    asked.body = renamed(asked.body, endpoint_.options.model);
    std::make_shared<Call>(endpoint_, std::move(asked), cancel, std::move(done))->begin();
  }

 private:
  const Endpoint endpoint_;
};

}  // namespace

std::unique_ptr<llm::Forwarder> make_forwarder(RemoteOptions options, std::string target,
                                               net::AsyncClient& client, const base::Clock& clock,
                                               std::function<double()> random) {
  return std::make_unique<RemoteForwarder>(
      Endpoint{std::move(options), std::move(target), client, clock, std::move(random)});
}

}  // namespace pmt::upstream
