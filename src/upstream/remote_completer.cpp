#include "upstream/remote_completer.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <fmt/format.h>

#include "base/guard.h"
#include "base/json_text.h"
#include "llm/guarded_sink.h"
#include "net/sse.h"
#include "upstream/call_queue.h"
#include "upstream/cooldown.h"
#include "upstream/event_reader.h"
#include "upstream/request_json.h"
#include "upstream/upstream_call.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

/// A media type in any case, with any parameters.
bool is_event_stream(std::string_view content_type) {
  constexpr std::string_view kType = "text/event-stream";
  const auto begin = std::min(content_type.find_first_not_of(" \t"), content_type.size());
  const std::string_view type = content_type.substr(begin, content_type.find_first_of("; \t", begin) - begin);
  return std::equal(type.begin(), type.end(), kType.begin(), kType.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

/// How a body begins that is a stream, whatever its type says: JSON begins otherwise.
bool begins_as_events(std::string_view body) {
  return body.starts_with("data:") || body.starts_with("event:") || body.starts_with(": ");
}

/// What a named event of a stream means: a ping means nothing, an error may stand bare.
std::string payload_of(net::SseEvent event) {
  if (event.name.empty() || event.name == "message") return std::move(event.data);
  const auto members = base::object_members(event.data);
  if (!members) return event.name == "error" ? "{\"error\":" + base::json_quoted(event.data) + "}" : "";
  const bool bare = event.name == "error" && base::is_null(base::value_of(*members, "error"));
  return bare ? "{\"error\":" + event.data + "}" : std::move(event.data);
}

struct Counters {
  std::atomic<std::uint64_t> requests{0}, completed{0}, failed{0}, cancelled{0}, attempts{0}, retries{0},
      cooled{0}, prompt_tokens{0}, completion_tokens{0};
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
        cooldown_(options_.cooldown, clock),
        queue_(options_, client) {}

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;
  RemoteStats stats() const override;
  const RemoteOptions& options() const override { return options_; }
  double cooling_s() const override { return cooldown_.remaining_s(); }

 private:
  friend class Call;
  const RemoteOptions options_;
  net::AsyncClient& client_;
  const base::Clock& clock_;
  const std::function<double()> random_;
  Cooldown cooldown_;
  Counters count_;
  CallQueue queue_;
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
      if (name == "content-type") sse_ = is_event_stream(value);
    }
  }
  bool read_body(std::string_view bytes);
  void end(base::Status status);
  void attempt();
  net::AsyncCall http_call(WrittenRequest written, double seconds_left) const;
  double seconds_left() const;
  /// Passes on what an answer's piece brought. Started waits for the first event after it: until then
  /// another attempt can still take over.
  void pass_on(std::vector<llm::Event> events);
  base::Status end_of_body();
  void settle(base::Error error);
  bool try_again(const base::Error& error);
  void finish(llm::Event last);

  Remote& remote_;
  const RemoteOptions& options_;
  const llm::Request request_;
  std::shared_ptr<llm::GuardedSink> sink_;
  const base::CancelToken cancel_;
  const bool streams_;
  const base::Nanos began_at_;

  std::vector<std::string> ignored_;  // of the request, by what its server's API can't say
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
  std::unique_ptr<EventReader> reader_;
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

net::AsyncCall Call::http_call(WrittenRequest written, double left_s) const {
  return upstream_call(options_, {.target = std::move(written.target),
                                  .body = std::move(written.body),
                                  .id = request_.id,
                                  .traceparent = request_.traceparent,
                                  .streams = streams_,
                                  .total_s = left_s});
}

void Call::attempt() {
  if (cancel_.cancelled()) return settle(of_cancel(cancel_));
  if (const base::Status ready = check_cooldown(remote_.cooldown_); !ready) {
    ++remote_.count_.cooled;
    return finish(llm::Failed{named(ready.error(), options_)});
  }
  base::Result<WrittenRequest> written = write_request(request_, options_, streams_);
  if (!written) return finish(llm::Failed{named(written.error(), options_)});
  ignored_ = std::move(written->ignored);
  const double left_s = seconds_left();
  if (left_s <= 0) {
    base::Error late{base::Code::kDeadline, "the request's budget of seconds is used up",
                     "permutation.budget.seconds"};
    return finish(llm::Failed{named(std::move(late), options_)});
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
  reader_ = make_reader(options_.api, {.endpoint = request_.endpoint,
                                       .model = options_.name,
                                       .now_unix_s = remote_.clock_.unix_seconds(),
                                       .seed = request_.id});
  remote_.client_.start(http_call(*std::move(written), left_s), shared_from_this(), cancel_);
}

bool Call::read_body(std::string_view bytes) {
  bytes_ += bytes.size();
  if (bytes_ > options_.answer_bytes_max) {
    failure_ = base::Error{base::Code::kBadGateway,
                           fmt::format("its answer is larger than {} bytes", options_.answer_bytes_max)};
    return false;
  }
  sse_ = sse_ || (body_.empty() && begins_as_events(bytes));
  if (status_ >= 400 || !sse_) {
    body_.append(bytes);
    return true;
  }
  std::vector<llm::Event> events;
  base::Status read;
  for (net::SseEvent& event : parser_->feed_events(bytes)) {
    read = reader_->chunk(payload_of(std::move(event)), events);
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
  TRY(check_status(status_, headers_, body_, remote_.clock_.unix_seconds()));
  std::vector<llm::Event> events;
  const base::Status read = sse_ ? reader_->finish(events) : reader_->whole(body_, events);
  if (read) pass_on(std::move(events));
  return read;
}

void Call::end(base::Status status) {
  if (status) status = end_of_body();
  // The answer was complete before the connection broke.
  if (!status && !done_) return settle(of_exchange(status.error()));
  remote_.cooldown_.succeeded();
  auto& done = std::get<llm::Done>(*done_);
  remote_.count_.prompt_tokens += static_cast<std::uint64_t>(done.usage.prompt_tokens);
  remote_.count_.completion_tokens += static_cast<std::uint64_t>(done.usage.completion_tokens);
  nlohmann::json& report = done.report.upstream;
  report["provider"] = options_.provider;
  report["model"] = options_.model;
  report["attempts"] = attempts_;
  report["first_byte_ms"] = first_byte_ms_;
  done.report.ignored = std::move(ignored_);
  if (!errors_.empty()) report["errors"] = std::move(errors_);
  if (held_) sink_->on_event(*std::exchange(held_, std::nullopt));  // an answer without a word
  finish(*std::exchange(done_, std::nullopt));
}

bool Call::try_again(const base::Error& error) {
  if (passed_on_ || cancel_.cancelled() || !may_retry(options_.retries, error, attempts_)) return false;
  const double wait_s = backoff_s(options_.retries, attempts_, error.retry_after_s, remote_.random_());
  if (request_.budget.seconds && wait_s >= seconds_left()) return false;
  ++remote_.count_.retries;
  remote_.client_.after(
      wait_s, [self = shared_from_this()] { self->begin(); }, cancel_);
  return true;
}

/// An attempt has failed.
void Call::settle(base::Error error) {
  if (error.code == base::Code::kCancelled) return finish(llm::Failed{of_cancel(cancel_)});
  note_failure(remote_.cooldown_, options_.retries, error);
  errors_.push_back(error.message);
  if (try_again(error)) return;
  error = named(std::move(error), options_);
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
  (void)guarded([this] { remote_.queue_.leave(); });
  sink->on_event(std::move(last));
}

void Remote::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  ++count_.requests;
  const auto call = std::make_shared<Call>(*this, std::move(request), sink, std::move(cancel));
  const base::Status entered = queue_.enter([call] { call->begin(); });
  if (entered) return;
  ++count_.failed;
  sink->on_event(llm::Failed{entered.error()});
}

RemoteStats Remote::stats() const {
  const CallQueue::Load load = queue_.load();
  return {.requests = count_.requests,
          .completed = count_.completed,
          .failed = count_.failed,
          .cancelled = count_.cancelled,
          .attempts = count_.attempts,
          .retries = count_.retries,
          .cooled = count_.cooled,
          .prompt_tokens = count_.prompt_tokens,
          .completion_tokens = count_.completion_tokens,
          .running = load.running,
          .waiting = load.waiting};
}

}  // namespace

std::unique_ptr<RemoteCompleter> RemoteCompleter::create(RemoteOptions options, net::AsyncClient& client,
                                                         const base::Clock& clock,
                                                         std::function<double()> random) {
  return std::make_unique<Remote>(std::move(options), client, clock, std::move(random));
}

}  // namespace pmt::upstream
