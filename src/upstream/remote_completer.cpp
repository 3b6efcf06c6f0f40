#include "upstream/remote_completer.h"

#include <atomic>
#include <cmath>
#include <deque>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"
#include "llm/guarded_sink.h"
#include "net/sse.h"
#include "upstream/answer_reader.h"
#include "upstream/cooldown.h"
#include "upstream/request_json.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

struct Counters {
  std::atomic<std::uint64_t> requests{0}, completed{0}, failed{0}, cancelled{0}, attempts{0}, retries{0},
      cooled{0}, prompt_tokens{0}, completion_tokens{0};
  std::atomic<std::int64_t> running{0};
};

class Call;

class Remote final : public RemoteCompleter {
 public:
  Remote(RemoteOptions options, net::AsyncClient& client, const base::Clock& clock,
         std::function<double()> random)
      : options_(std::move(options)),
        client_(client),
        clock_(clock),
        random_(std::move(random)),
        cooldown_(options_.cooldown, clock) {}

  void start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;
  RemoteStats stats() const override;
  const RemoteOptions& options() const override { return options_; }
  double cooling_s() const override { return cooldown_.remaining_s(); }

 private:
  friend class Call;
  /// A call has ended: the next that waits may begin.
  void release();

  const RemoteOptions options_;
  net::AsyncClient& client_;
  const base::Clock& clock_;
  const std::function<double()> random_;
  Cooldown cooldown_;
  Counters count_;
  mutable std::mutex mutex_;
  int running_ = 0;                            // guarded by mutex_, like
  std::deque<std::shared_ptr<Call>> waiting_;  // in the order of arrival
};

/// One request, over all its attempts. Thread-safety: begin() once; then the client's thread.
class Call final : public net::ExchangeListener, public std::enable_shared_from_this<Call> {
 public:
  Call(Remote& remote, llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel)
      : remote_(remote),
        options_(remote.options_),
        request_(std::move(request)),
        sink_(std::make_shared<llm::GuardedSink>(std::move(sink), request_.id)),
        cancel_(std::move(cancel)),
        streams_(request_.stream && options_.stream),
        began_at_(remote.clock_.now()) {}

  void begin() {
    if (const base::Status ran = guarded([this] { attempt(); }); !ran) die(ran.error());
  }

  void on_head(int status, const net::Headers& headers) override {
    const base::Status ran = guarded([&] { read_head(status, headers); });
    if (!ran) failure_ = ran.error();
  }
  bool on_body(std::string_view bytes) override {
    bool goes_on = false;
    const base::Status ran = guarded([&] { goes_on = read_body(bytes); });
    if (!ran) failure_ = ran.error();
    return goes_on && !failure_ && !sink_->broken();
  }
  void on_end(base::Status status) override {
    if (failure_ && failure_->code == base::Code::kInternal) return die(*failure_);
    const base::Status ran = guarded([&] { end(std::move(status)); });
    if (!ran) die(ran.error());
  }

 private:
  template <class Fn>
  base::Status guarded(Fn&& fn) {
    return base::guarded({base::Thread::kUpstream, request_.id}, std::forward<Fn>(fn));
  }
  /// An exception of ours ends the call, whatever it was at; nothing is tried again.
  void die(const base::Error& error) {
    if (sink_) finish(llm::Failed{error});
  }
  void read_head(int status, const net::Headers& headers) {
    status_ = status;
    first_byte_ms_ = base::ms_between(attempt_at_, remote_.clock_.now());
    headers_ = headers;
    for (const auto& [name, value] : headers) {
      if (name == "content-type") sse_ = value.starts_with("text/event-stream");
    }
  }
  bool read_body(std::string_view bytes);
  void end(base::Status status);
  void attempt();
  net::AsyncCall http_call(double seconds_left);
  double seconds_left() const;
  /// Passes on what an answer's piece brought. Started waits for the first event after it: until then
  /// another attempt can still take over.
  void pass_on(std::vector<llm::Event> events);
  base::Status end_of_body();
  base::Error name(base::Error error) const;
  void settle(base::Error error);
  bool try_again(const base::Error& error);
  double backoff_s(const base::Error& error) const;
  void finish(llm::Event last);

  Remote& remote_;
  const RemoteOptions& options_;
  const llm::Request request_;
  std::shared_ptr<llm::GuardedSink> sink_;
  const base::CancelToken cancel_;
  const bool streams_;
  const base::Nanos began_at_;

  int attempts_ = 0;
  nlohmann::json errors_ = nlohmann::json::array();  // of the attempts that failed
  bool passed_on_ = false;                           // anything
  // Of this attempt:
  base::Nanos attempt_at_{0};
  double first_byte_ms_ = 0;
  int status_ = 0;
  net::Headers headers_;
  bool sse_ = false;
  std::string body_;  // of an answer that comes whole
  std::optional<AnswerReader> reader_;
  std::optional<net::SseParser> parser_;
  std::optional<llm::Event> held_;  // Started
  std::optional<llm::Event> done_;
  std::optional<base::Error> failure_;
  std::size_t bytes_ = 0;
};

double Call::seconds_left() const {
  if (!request_.budget.seconds) return options_.timeouts.total_s;
  const double used = base::ms_between(began_at_, remote_.clock_.now()) / 1e3;
  return std::min(options_.timeouts.total_s, *request_.budget.seconds - used);
}

net::AsyncCall Call::http_call(double left_s) {
  const bool chat = request_.endpoint == llm::Endpoint::kChat;
  net::AsyncCall call{.url = options_.base_url,
                      .method = "POST",
                      .target = chat ? "/chat/completions" : "/completions",
                      .headers = {{"content-type", "application/json"},
                                  {"accept", streams_ ? "text/event-stream" : "application/json"}},
                      .body = request_body(request_, options_, streams_),
                      .connect_timeout_s = options_.timeouts.connect_s,
                      .first_byte_timeout_s = streams_ ? options_.timeouts.first_byte_s : 0,
                      .stall_timeout_s = options_.timeouts.stall_s,
                      .total_timeout_s = left_s};
  if (!options_.api_key.empty()) call.headers.emplace_back("authorization", "Bearer " + options_.api_key);
  if (!request_.id.empty()) call.headers.emplace_back("x-request-id", request_.id);
  if (!request_.traceparent.empty()) call.headers.emplace_back("traceparent", request_.traceparent);
  return call;
}

void Call::attempt() {
  if (cancel_.cancelled()) return settle({base::Code::kCancelled, "the caller left"});
  if (const double rest_s = options_.cooldown.failures > 0 ? remote_.cooldown_.remaining_s() : 0;
      rest_s > 0) {
    ++remote_.count_.cooled;
    base::Error cooling{
        base::Code::kUnavailable,
        fmt::format("it failed too often and is left alone for {:.0f} s more", std::ceil(rest_s))};
    cooling.retry_after_s = rest_s;
    return finish(llm::Failed{name(std::move(cooling))});
  }
  const double left_s = seconds_left();
  if (left_s <= 0) {
    base::Error late{base::Code::kDeadline, "the request's budget of seconds is used up",
                     "permutation.budget.seconds"};
    return finish(llm::Failed{name(std::move(late))});
  }
  ++attempts_;
  ++remote_.count_.attempts;
  attempt_at_ = remote_.clock_.now();
  status_ = 0;
  sse_ = false;
  body_.clear();
  held_.reset();
  failure_.reset();
  bytes_ = 0;
  parser_.emplace();
  reader_.emplace(AnswerReader::About{.endpoint = request_.endpoint,
                                      .model = options_.name,
                                      .now_unix_s = remote_.clock_.unix_seconds(),
                                      .n = request_.n});
  remote_.client_.start(http_call(left_s), shared_from_this(), cancel_);
}

bool Call::read_body(std::string_view bytes) {
  bytes_ += bytes.size();
  if (bytes_ > options_.answer_bytes_max) {
    failure_ = base::Error{base::Code::kBadGateway,
                           fmt::format("its answer is larger than {} bytes", options_.answer_bytes_max)};
    return false;
  }
  if (status_ >= 400 || !sse_) {
    body_.append(bytes);
    return true;
  }
  std::vector<llm::Event> events;
  base::Status read;
  for (const std::string& payload : parser_->feed(bytes)) {
    read = reader_->chunk(payload, events);
    if (!read) break;
  }
  pass_on(std::move(events));
  if (!read) failure_ = read.error();
  return read.has_value();
}

void Call::pass_on(std::vector<llm::Event> events) {
  for (llm::Event& event : events) {
    if (llm::is_terminal(event)) {
      done_ = std::move(event);
      continue;
    }
    if (std::holds_alternative<llm::Started>(event)) {
      held_ = std::move(event);
      continue;
    }
    if (held_) sink_->on_event(*std::exchange(held_, std::nullopt));
    passed_on_ = true;
    sink_->on_event(std::move(event));
  }
}

base::Status Call::end_of_body() {
  if (failure_) return *failure_;
  if (status_ >= 400) return status_error(status_, headers_, body_, remote_.clock_.unix_seconds());
  if (status_ / 100 != 2) {
    return base::Error{base::Code::kBadGateway, fmt::format("it answered {}", status_)};
  }
  std::vector<llm::Event> events;
  const base::Status read = sse_ ? reader_->finish(events) : reader_->whole(body_, events);
  if (read) pass_on(std::move(events));
  return read;
}

void Call::end(base::Status status) {
  if (status) status = end_of_body();
  // The answer was complete before the connection broke.
  if (!status && !done_) {
    base::Error error = status.error();
    // HTTP's words for "broke off" and "nonsense" mean a bad upstream here.
    const bool broke = error.code == base::Code::kIo || error.code == base::Code::kCorrupt;
    if (broke) error.code = base::Code::kBadGateway;
    return settle(std::move(error));
  }
  remote_.cooldown_.succeeded();
  auto& done = std::get<llm::Done>(*done_);
  remote_.count_.prompt_tokens += static_cast<std::uint64_t>(done.usage.prompt_tokens);
  remote_.count_.completion_tokens += static_cast<std::uint64_t>(done.usage.completion_tokens);
  done.report.upstream = {{"provider", options_.provider},
                          {"model", options_.model},
                          {"attempts", attempts_},
                          {"first_byte_ms", first_byte_ms_}};
  if (!errors_.empty()) done.report.upstream["errors"] = std::move(errors_);
  if (held_) sink_->on_event(*std::exchange(held_, std::nullopt));  // an answer without a word
  finish(*std::exchange(done_, std::nullopt));
}

base::Error Call::name(base::Error error) const {
  error.message = fmt::format("upstream {}: {}", options_.provider, error.message);
  if (error.code == base::Code::kUnauthorized) {
    error.message +=
        options_.api_key.empty()
            ? "; no key is configured for it: set api_key_env in its [[upstream]]"
            : fmt::format("; its key came from the environment variable {}", options_.api_key_env);
  }
  if (error.code == base::Code::kNotFound) error.field = "model";
  return error;
}

double Call::backoff_s(const base::Error& error) const {
  const Retries& retries = options_.retries;
  const double full = std::min(retries.backoff_max_s, retries.backoff_s * std::pow(2.0, attempts_ - 1));
  return std::max(error.retry_after_s, full * (0.5 + 0.5 * remote_.random_()));
}

bool Call::try_again(const base::Error& error) {
  if (passed_on_ || cancel_.cancelled() || !is_retryable(error.code)) return false;
  if (attempts_ > options_.retries.attempts_more) return false;
  if (error.retry_after_s > options_.retries.retry_after_max_s) return false;
  const double wait_s = backoff_s(error);
  if (request_.budget.seconds && wait_s >= seconds_left()) return false;
  ++remote_.count_.retries;
  remote_.client_.after(
      wait_s, [self = shared_from_this()] { self->begin(); }, cancel_);
  return true;
}

/// An attempt has failed.
void Call::settle(base::Error error) {
  if (error.code == base::Code::kCancelled) {
    if (!cancel_.cancelled()) error = {base::Code::kUnavailable, "the server is shutting down"};
    return finish(llm::Failed{std::move(error)});
  }
  if (is_retryable(error.code)) {
    const bool long_wait = error.retry_after_s > options_.retries.retry_after_max_s;
    remote_.cooldown_.failed(long_wait ? error.retry_after_s : 0);
  }
  errors_.push_back(error.message);
  if (try_again(error)) return;
  error = name(std::move(error));
  if (attempts_ > 1) error.message += fmt::format(" ({} attempts)", attempts_);
  finish(llm::Failed{std::move(error)});
}

void Call::finish(llm::Event last) {
  const auto* failed = std::get_if<llm::Failed>(&last);
  if (failed == nullptr) {
    ++remote_.count_.completed;
  } else if (failed->error.code == base::Code::kCancelled) {
    ++remote_.count_.cancelled;
  } else {
    ++remote_.count_.failed;
  }
  const auto sink = std::exchange(sink_, nullptr);  // first: what follows may throw, and this is done once
  (void)guarded([this] { remote_.release(); });
  sink->on_event(std::move(last));
}

void Remote::start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  ++count_.requests;
  auto call = std::make_shared<Call>(*this, std::move(request), sink, std::move(cancel));
  {
    const std::lock_guard lock(mutex_);
    if (running_ >= options_.concurrent_max) {
      if (waiting_.size() < static_cast<std::size_t>(options_.queue_max)) {
        waiting_.push_back(std::move(call));
        return;
      }
      call.reset();
    } else {
      ++running_;
    }
  }
  if (call) return call->begin();
  ++count_.failed;
  sink->on_event(llm::Failed{
      {base::Code::kUnavailable, fmt::format("upstream {}: {} requests wait already: try again later",
                                             options_.provider, options_.queue_max)}});
}

void Remote::release() {
  std::shared_ptr<Call> next;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      --running_;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  // Not from here: many that have cancelled meanwhile would end one inside the other.
  client_.after(0, [next] { next->begin(); }, {});
}

RemoteStats Remote::stats() const {
  const std::lock_guard lock(mutex_);
  return {.requests = count_.requests,
          .completed = count_.completed,
          .failed = count_.failed,
          .cancelled = count_.cancelled,
          .attempts = count_.attempts,
          .retries = count_.retries,
          .cooled = count_.cooled,
          .prompt_tokens = count_.prompt_tokens,
          .completion_tokens = count_.completion_tokens,
          .running = running_,
          .waiting = static_cast<std::int64_t>(waiting_.size())};
}

}  // namespace

std::unique_ptr<RemoteCompleter> RemoteCompleter::create(RemoteOptions options, net::AsyncClient& client,
                                                         const base::Clock& clock,
                                                         std::function<double()> random) {
  return std::make_unique<Remote>(std::move(options), client, clock, std::move(random));
}

}  // namespace pmt::upstream
