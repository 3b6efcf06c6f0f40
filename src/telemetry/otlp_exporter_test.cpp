// Against a real HTTP server that plays the collector.
#include "telemetry/otlp_exporter.h"

#include <mutex>
#include <thread>

#include <gmock/gmock.h>

#include "net/http_server.h"

namespace pmt::telemetry {
namespace {

using nlohmann::json;

class Collector {
 public:
  explicit Collector(int status = 200) {
    auto started = net::HttpServer::start(
        {.port = 0},
        [this, status](const net::HttpRequest& request, const std::shared_ptr<net::Responder>& responder) {
          const std::lock_guard lock(mutex_);
          requests_.push_back(request);
          responder->send({.status = status, .body = "{}"});
        });
    server_ = std::move(*started);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  std::vector<net::HttpRequest> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::mutex mutex_;
  std::vector<net::HttpRequest> requests_;
  std::unique_ptr<net::HttpServer> server_;
};

Span span(const std::string& name) {
  return {
      .trace_id = std::string(32, 'a'),
      .span_id = std::string(16, 'b'),
      .parent_id = std::string(16, 'c'),
      .name = name,
      .kind = Span::Kind::kServer,
      .begin_unix_ns = 1'700'000'000'123'456'789,
      .end_unix_ns = 1'700'000'001'000'000'000,
      .attributes = {{"gen_ai.request.model", "m"}, {"n", 3}, {"t", 0.5}, {"ok", true}, {"list", {"a", "b"}}},
      .failed = true,
      .error = "why"};
}

TEST(OtlpExporter, SendsWhatWaitsAsTheProtocolWantsIt) {
  Collector collector;
  {
    OtlpExporter exporter({.endpoint = collector.url(), .service_name = "s", .version = "1"});
    exporter.add({span("one"), span("two")});
  }
  const auto requests = collector.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].path, "/v1/traces");
  EXPECT_EQ(requests[0].header("content-type"), "application/json");
  const json body = json::parse(requests[0].body);
  const json& spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0]["traceId"], std::string(32, 'a'));
  EXPECT_EQ(spans[0]["parentSpanId"], std::string(16, 'c'));
  EXPECT_EQ(spans[0]["kind"], 2);
  EXPECT_EQ(spans[0]["startTimeUnixNano"], "1700000000123456789") << "64-bit integers are strings";
  EXPECT_EQ(spans[0]["attributes"][0]["value"]["stringValue"], "m");
  EXPECT_EQ(spans[0]["attributes"][1]["value"]["intValue"], "3");
  EXPECT_EQ(spans[0]["attributes"][2]["value"]["doubleValue"], 0.5);
  EXPECT_EQ(spans[0]["attributes"][3]["value"]["boolValue"], true);
  EXPECT_EQ(spans[0]["attributes"][4]["value"]["arrayValue"]["values"][1]["stringValue"], "b");
  EXPECT_EQ(spans[0]["status"]["code"], 2);
  EXPECT_EQ(body["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"], "s");
}

TEST(OtlpExporter, ACollectorThatIsAwayCostsNothingAndIsToldOnce) {
  Collector refusing(500);
  std::atomic<int> warnings{0};
  OtlpExporter exporter({.endpoint = refusing.url(),
                         .queue_max = 3,
                         .batch_max = 1,
                         .period_ms = 1,
                         .on_warning = [&](const std::string&) { ++warnings; }});
  for (int i = 0; i < 50; ++i) {
    exporter.add({span("x")});
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (int i = 0; i < 500 && exporter.stats().dropped < 50; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(exporter.stats().dropped, 50U);
  EXPECT_EQ(exporter.stats().exported, 0U);
  EXPECT_GT(exporter.stats().failures, 0U);
  EXPECT_EQ(warnings, 1);
}

}  // namespace
}  // namespace pmt::telemetry
