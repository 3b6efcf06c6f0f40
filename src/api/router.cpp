#include "api/router.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/errors.h"
#include "api/json/json_writer.h"
#include "api/messages/message_error.h"
#include "api/observe/observed_responder.h"
#include "api/request_body.h"
#include "base/guard.h"

namespace pmt::api {
namespace {

/// From a cache hit (tens of microseconds) to a long generation, in seconds.
const prometheus::Histogram::BucketBoundaries kBuckets = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25,
                                                          0.5,    1,      2.5,   5,     10,   30,   120};

/// A caller's id goes into headers and logs: printable ASCII only, and short.
bool is_sane_id(std::string_view id) {
  constexpr std::size_t kBytesMax = 128;
  return !id.empty() && id.size() <= kBytesMax &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

prometheus::ClientMetric labelled(const RouteStats& stats, const char* code) {
  prometheus::ClientMetric metric;
  metric.label = {{"method", stats.method}, {"route", stats.pattern}};
  if (code != nullptr) metric.label.push_back({"code", code});
  return metric;
}

void collect_route(const RouteStats& stats, prometheus::MetricFamily& requests,
                   prometheus::MetricFamily& seconds) {
  static constexpr const char* kClasses[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 1; i < stats.by_class.size(); ++i) {
    const std::uint64_t n = stats.by_class[i].load(std::memory_order_relaxed);
    if (n == 0) continue;
    requests.metric.push_back(labelled(stats, kClasses[i]));
    requests.metric.back().counter.value = static_cast<double>(n);
  }
  prometheus::ClientMetric metric = labelled(stats, nullptr);
  metric.histogram = stats.seconds.Collect().histogram;
  if (metric.histogram.sample_count > 0) seconds.metric.push_back(std::move(metric));
}

net::HttpResponse refusal_of(const Access::Decision& decision) {
  net::HttpResponse response = error_response(decision.error);
  for (const auto& header : decision.headers) {
    std::erase_if(response.headers, [&](const auto& own) { return own.first == header.first; });
    response.headers.push_back(header);
  }
  return response;
}

}  // namespace

void send_json(net::Responder& responder, int status, std::string body) {
  responder.send({status, {{"content-type", "application/json"}}, std::move(body)});
}

void send_error(net::Responder& responder, const base::Error& error) {
  responder.send(error_response(error));
}

RouteStats::RouteStats(std::string for_method, std::string for_pattern)
    : method(std::move(for_method)), pattern(std::move(for_pattern)), seconds(kBuckets) {}

Router::Router(Options options)
    : clock_(options.clock),
      random_(std::move(options.random)),
      observer_(std::move(options.observer)),
      body_bytes_max_(options.body_bytes_max),
      access_(std::move(options.access), options.clock),
      unmatched_(std::make_shared<RouteStats>("any", "other")) {}

void Router::add(std::string method, std::string pattern, RouteHandler handler) {
  Route route;
  const auto brace = pattern.find('{');
  route.has_tail = brace != std::string::npos;
  route.prefix = pattern.substr(0, brace);
  route.handler = std::move(handler);
  route.stats = std::make_shared<RouteStats>(std::move(method), std::move(pattern));
  routes_.push_back(std::move(route));
}

bool Router::Route::matches(const std::string& path) const {
  if (!has_tail) return path == prefix;
  return path.size() > prefix.size() && path.compare(0, prefix.size(), prefix) == 0;
}

std::string Router::request_id(const net::HttpRequest& request) const {
  const std::string_view given = request.header("x-request-id");
  return is_sane_id(given) ? std::string(given) : "req_" + random_hex(random_, 12);
}

std::string Router::methods_of(const std::string& path) const {
  std::string methods;
  for (const Route& route : routes_) {
    if (!route.matches(path)) continue;
    methods += (methods.empty() ? "" : ", ") + route.stats->method;
    if (route.stats->method == "GET") methods += ", HEAD";
  }
  return methods;
}

bool Router::knows(const std::string& path) const {
  return std::any_of(routes_.begin(), routes_.end(),
                     [&path](const Route& route) { return route.matches(path); });
}

void Router::complete_path(std::string& path) const {
  const std::string whole = "/v1" + path;
  if (scope_of_path(whole) == Scope::kInference && knows(whole) && !knows(path)) path = whole;
}

void Router::refuse(const net::HttpRequest& request, net::Responder& responder) const {
  const std::string allowed = methods_of(request.path);
  base::Error error{base::Code::kNotFound,
                    fmt::format("There is no {} {} here.", request.method, request.path)};
  if (allowed.empty()) return send_error(responder, error);
  error.message = fmt::format("{} takes {}, not {}.", request.path, allowed, request.method);
  net::HttpResponse response = error_response(error);
  response.status = 405;
  response.headers.emplace_back("allow", allowed);
  responder.send(std::move(response));
}

const Router::Route* Router::find(const net::HttpRequest& request) const {
  const bool head = request.method == "HEAD";  // a GET whose body the server leaves out
  for (const Route& route : routes_) {
    if (route.stats->method == (head ? "GET" : request.method) && route.matches(request.path)) return &route;
  }
  return nullptr;
}

std::shared_ptr<RequestRecord> Router::begin(const net::HttpRequest& request, const RouteStats& stats) const {
  auto record = std::make_shared<RequestRecord>();
  record->id = request_id(request);
  record->method = request.method;
  record->route = stats.pattern;
  record->peer = request.peer;
  record->begun = clock_.now();
  record->begun_unix_s = clock_.unix_seconds();
  if (auto context = telemetry::parse_traceparent(request.header("traceparent")))
    record->trace = std::move(*context);
  if (record->trace.trace_id.empty()) record->trace.trace_id = telemetry::new_id(random_, 32);
  record->span_seed = random_();
  record->span_id = telemetry::new_id([seed = record->span_seed] { return seed; }, 16);
  return record;
}

void Router::handle(net::HttpRequest request, std::shared_ptr<net::Responder> responder) const {
  complete_path(request.path);
  const Route* const route = find(request);
  const std::shared_ptr<RouteStats>& stats = route == nullptr ? unmatched_ : route->stats;
  std::shared_ptr<RequestRecord> record = begin(request, *stats);
  const Cors& cors = access_.cors();
  if (cors.is_preflight(request) && knows(request.path)) {
    const auto observed =
        std::make_shared<ObservedResponder>(std::move(responder), record, stats, clock_, Access::Decision{},
                                            cors.headers(request), observer_, speaks_messages(request.path));
    return observed->send(cors.preflight(request, methods_of(request.path)));
  }
  Access::Decision decision = access_.enter(request);
  const std::shared_ptr<Caller> caller = decision.caller;
  if (caller) {
    record->key = caller->key.name;
    record->tenant = caller->tenant();
  }
  net::HttpResponse refusal;
  if (!caller) refusal = refusal_of(decision);
  const auto observed =
      std::make_shared<ObservedResponder>(std::move(responder), record, stats, clock_, std::move(decision),
                                          cors.headers(request), observer_, speaks_messages(request.path));
  if (!caller) return observed->send(std::move(refusal));
  if (route == nullptr) return refuse(request, *observed);
  std::string tail = route->has_tail ? request.path.substr(route->prefix.size()) : "";
  const std::string id = record->id;
  const base::Status handled = base::guarded({base::Thread::kHttp, id}, [&] {
    if (auto unread = prepare_body(request, body_bytes_max_)) return observed->send(*std::move(unread));
    route->handler({std::move(request), observed, id, std::move(tail), caller, std::move(record),
                    [observed](net::HttpResponse early) { observed->send_early(std::move(early)); }});
  });
  if (!handled) send_error(*observed, handled.error());
}

std::vector<std::string> Router::routes() const {
  std::vector<std::string> names;
  for (const Route& route : routes_) names.push_back(route.stats->method + " " + route.stats->pattern);
  return names;
}

std::vector<prometheus::MetricFamily> Router::collect() const {
  prometheus::MetricFamily requests{
      "permutation_http_requests_total", "HTTP requests answered", prometheus::MetricType::Counter, {}};
  prometheus::MetricFamily seconds{"permutation_http_request_seconds",
                                   "From a request's arrival to the end of its answer",
                                   prometheus::MetricType::Histogram,
                                   {}};
  for (const Route& route : routes_) collect_route(*route.stats, requests, seconds);
  collect_route(*unmatched_, requests, seconds);
  return {std::move(requests), std::move(seconds)};
}

std::string random_hex(const std::function<std::uint64_t()>& random, int bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out(static_cast<std::size_t>(bytes) * 2, '0');
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < out.size(); ++i, bits >>= 4) {
    if (i % 16 == 0) bits = random();
    out[i] = kHex[bits & 15];
  }
  return out;
}

}  // namespace pmt::api
