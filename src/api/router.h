// Method and path -> the code that answers. Every request passes through here, so this is where the gate
// (access.h) is asked, where request ids, counts and durations are kept, and where an exception that got away
// becomes a 500.
// Thread-safety: routes are added before the first request; handle() may then be called from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include "api/access.h"
#include "api/observe/request_record.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"

namespace pmt::api {

/// One request on its way through a route.
struct Exchange {
  net::HttpRequest request;
  std::shared_ptr<net::Responder> responder;
  std::string id;                  // x-request-id: the caller's own, if it is a sane one
  std::string tail;                // of a route that ends in "/{...}": the rest of the path, percent-decoded
  std::shared_ptr<Caller> caller;  // who was let in; never null
  std::shared_ptr<RequestRecord> record;  // what this request does, for the observers
  /// Answers now, for work that goes on: for limits, log and metrics the request ends when `responder` is
  /// given its end, which nobody gets any more.
  std::function<void(net::HttpResponse)> answer_early;
};

using RouteHandler = std::function<void(Exchange exchange)>;

void send_json(net::Responder& responder, int status, std::string body);
void send_error(net::Responder& responder, const base::Error& error);

/// What one route did since start. Thread-safe.
struct RouteStats {
  RouteStats(std::string for_method, std::string for_pattern);
  const std::string method, pattern;
  std::array<std::atomic<std::uint64_t>, 6> by_class{};  // [5]: 5xx
  prometheus::Histogram seconds;  // from the whole request's arrival to the answer's end
};

class Router {
 public:
  struct Options {
    const base::Clock& clock;
    std::function<std::uint64_t()> random;
    AccessOptions access = {};
    RequestObserver observer = {};
    std::size_t body_bytes_max = 32 * 1024 * 1024;  // of a body that comes compressed: above, 413
  };
  explicit Router(Options options);

  /// `pattern`: a path, or one that ends in "/{...}" and matches whatever follows, if anything does.
  void add(std::string method, std::string pattern, RouteHandler handler);
  void handle(net::HttpRequest request, std::shared_ptr<net::Responder> responder) const;

  Access& access() { return access_; }
  const Access& access() const { return access_; }

  /// "GET /health", ... in the order in which they were added.
  std::vector<std::string> routes() const;

  /// permutation_http_requests_total and permutation_http_request_seconds.
  std::vector<prometheus::MetricFamily> collect() const;

 private:
  struct Route {
    std::string prefix;  // the path, or up to and with the slash before "{...}"
    bool has_tail = false;
    RouteHandler handler;
    std::shared_ptr<RouteStats> stats;
    bool matches(const std::string& path) const;
  };
  const Route* find(const net::HttpRequest& request) const;
  bool knows(const std::string& path) const;
  std::string methods_of(const std::string& path) const;
  /// "/models" is "/v1/models": some clients are given an address without /v1.
  void complete_path(std::string& path) const;
  void refuse(const net::HttpRequest& request, net::Responder& responder) const;
  std::shared_ptr<RequestRecord> begin(const net::HttpRequest& request, const RouteStats& stats) const;
  std::string request_id(const net::HttpRequest& request) const;

  const base::Clock& clock_;
  std::function<std::uint64_t()> random_;
  RequestObserver observer_;
  const std::size_t body_bytes_max_;
  mutable Access access_;
  std::vector<Route> routes_;
  std::shared_ptr<RouteStats> unmatched_;
};

/// `bytes` * 2 lower-case hex digits, bytes <= 16.
std::string random_hex(const std::function<std::uint64_t()>& random, int bytes);

}  // namespace pmt::api
