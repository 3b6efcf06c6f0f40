// A Responder that adds x-request-id and counts the answer in its route's statistics, once.
// Thread-safety: as net::Responder.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "api/router.h"
#include "base/clock.h"
#include "net/http.h"

namespace pmt::api {

class ObservedResponder final : public net::Responder {
 public:
  ObservedResponder(std::shared_ptr<net::Responder> inner, std::string id, std::shared_ptr<RouteStats> stats,
                    const base::Clock& clock)
      : inner_(std::move(inner)),
        id_(std::move(id)),
        stats_(std::move(stats)),
        clock_(clock),
        begun_(clock.now()) {}

  void send(net::HttpResponse response) override {
    observe(response.status);
    response.headers.emplace_back("x-request-id", id_);
    inner_->send(std::move(response));
  }
  void start_stream(net::HttpResponse head) override {
    stream_status_ = head.status;
    head.headers.emplace_back("x-request-id", id_);
    inner_->start_stream(std::move(head));
  }
  void write(std::string chunk) override { inner_->write(std::move(chunk)); }
  void finish_stream() override {
    observe(stream_status_);
    inner_->finish_stream();
  }
  void on_disconnect(std::function<void()> callback) override { inner_->on_disconnect(std::move(callback)); }

 private:
  void observe(int status) {
    stats_->by_class[static_cast<std::size_t>(status / 100) % stats_->by_class.size()].fetch_add(
        1, std::memory_order_relaxed);
    stats_->seconds.Observe(base::ms_between(begun_, clock_.now()) / 1000);
  }

  const std::shared_ptr<net::Responder> inner_;
  const std::string id_;
  const std::shared_ptr<RouteStats> stats_;
  const base::Clock& clock_;
  const base::Nanos begun_;
  int stream_status_ = 0;
};

}  // namespace pmt::api
