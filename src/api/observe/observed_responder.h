// A Responder that adds x-request-id, the rate limits' headers and those for pages of other origins, completes
// the request's record, gives it to the observers and counts the answer in its route's statistics, once. Errors
// leave in the shape of the API that was asked. Thread-safety: as net::Responder.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "api/access.h"
#include "api/errors.h"
#include "api/messages/message_error.h"
#include "api/observe/request_record.h"
#include "api/router.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/json.h"
#include "net/http.h"

namespace pmt::api {

class ObservedResponder final : public net::Responder {
 public:
  ObservedResponder(std::shared_ptr<net::Responder> inner, std::shared_ptr<RequestRecord> record,
                    std::shared_ptr<RouteStats> stats, const base::Clock& clock, Access::Decision decision,
                    net::Headers cors_headers, const RequestObserver& observer, bool as_messages)
      : inner_(std::move(inner)),
        record_(std::move(record)),
        stats_(std::move(stats)),
        clock_(clock),
        decision_(std::move(decision)),
        cors_headers_(std::move(cors_headers)),
        observer_(observer),
        as_messages_(as_messages) {}
  ~ObservedResponder() override {
    if (!observed_.load()) base::survives({base::Thread::kHttp, record_->id}, [this] { dropped(); });
  }
  ObservedResponder(const ObservedResponder&) = delete;
  ObservedResponder& operator=(const ObservedResponder&) = delete;

  void send(net::HttpResponse response) override {
    if (response.status >= 400 && record_->error.empty()) {
      if (const auto body = base::parse_json(response.body))
        record_->error = base::text_at(base::at(*body, "error"), "message");
    }
    observe(response.status);
    if (early_) return;
    deliver(std::move(response));
  }
  /// The client's whole answer, now. The request goes on: it ends for limits, log and metrics with what is
  /// sent later, which nobody gets.
  void send_early(net::HttpResponse response) {
    early_ = true;
    deliver(std::move(response));
  }
  void start_stream(net::HttpResponse head) override {
    stream_status_ = head.status;
    add_headers(head.headers);
    inner_->start_stream(std::move(head));
  }
  void write(std::string chunk) override { inner_->write(std::move(chunk)); }
  void finish_stream() override {
    observe(stream_status_);
    inner_->finish_stream();
  }
  void keep_alive(net::HttpResponse head, net::Silence silence) override {
    add_headers(head.headers);
    inner_->keep_alive(std::move(head), std::move(silence));
  }
  void on_disconnect(std::function<void()> callback) override { inner_->on_disconnect(std::move(callback)); }

 private:
  /// Whoever had it to answer has thrown, or forgot it.
  void dropped() {
    net::HttpResponse response = error_response(
        {base::Code::kInternal, "The server dropped the request " + record_->id + " without an answer."});
    observe(500);
    if (!early_) deliver(std::move(response));  // nothing, if a stream has begun: that is broken off
  }

  void deliver(net::HttpResponse response) {
    if (as_messages_) reshape_for_messages(response, record_->id);
    add_headers(response.headers);
    inner_->send(std::move(response));
  }

  void add_headers(net::Headers& headers) {
    headers.emplace_back("x-request-id", record_->id);
    if (as_messages_) headers.emplace_back("request-id", record_->id);  // Anthropic's name of it
    headers.insert(headers.end(), cors_headers_.begin(), cors_headers_.end());
    if (decision_.counted) Access::add_limit_headers(*decision_.caller, headers);
  }

  void observe(int status) {
    if (observed_.exchange(true)) return;
    record_->status = status;
    record_->ended = clock_.now();
    stats_->by_class[static_cast<std::size_t>(status / 100) % stats_->by_class.size()].fetch_add(
        1, std::memory_order_relaxed);
    stats_->seconds.Observe(record_->seconds());
    std::int64_t tokens = record_->other_tokens;
    if (record_->completion && record_->completion->computed())
      tokens += record_->completion->usage.prompt_tokens + record_->completion->usage.completion_tokens;
    if (decision_.caller && tokens > 0) decision_.caller->meters->tokens.charge(static_cast<double>(tokens));
    Access::leave(decision_);
    if (observer_) observer_(record_);
  }

  const std::shared_ptr<net::Responder> inner_;
  const std::shared_ptr<RequestRecord> record_;
  const std::shared_ptr<RouteStats> stats_;
  const base::Clock& clock_;
  const Access::Decision decision_;
  const net::Headers cors_headers_;
  const RequestObserver& observer_;
  const bool as_messages_;
  std::atomic<bool> observed_{false};
  std::atomic<bool> early_{false};
  int stream_status_ = 0;
};

}  // namespace pmt::api
