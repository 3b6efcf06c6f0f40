#include <cctype>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"
#include "base/version.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class StatusRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    options.kv_stats = [] { return json{{"bytes", 4096}}; };
    options.engine_samples = [] {
      return std::vector<EngineSample>{
          {.model = "tiny", .counters = {{"requests", 3}}, .gauges = {{"running", 1}}}};
    };
    options.audit = [this] {
      return audit::build_audit({{.name = "response cache",
                                  .built = true,
                                  .self_test = [] { return std::nullopt; },
                                  .usage = &usage,
                                  .counter_name = "response_cache.hits",
                                  .on_by_default = true},
                                 {.name = "knowledge cache"}});
    };
  }
  base::UsageCounter usage;
};

TEST_F(StatusRoutes, Health) {
  const auto response = send("GET", "/health");
  EXPECT_EQ(response.status, 200);
  const json body = json::parse(response.body);
  EXPECT_EQ(body.at("status"), "ok");
  EXPECT_EQ(body.at("version"), base::kVersion);
  EXPECT_EQ(body.at("models"), json({"bare", "tiny"}));
}

TEST_F(StatusRoutes, Models) {
  const json list = json::parse(send("GET", "/v1/models").body);
  EXPECT_EQ(list.at("object"), "list");
  EXPECT_EQ(list.at("data").at(1).at("id"), "tiny");
  EXPECT_EQ(list.at("data").at(1).at("owned_by"), "permutation");
  EXPECT_EQ(json::parse(send("GET", "/v1/models/tiny").body).at("meta").at("context"), 64);
  EXPECT_EQ(json::parse(send("GET", "/v1/models/tiny").body).at("calibration").at("progress"), 0.5);
  const auto unknown = send("GET", "/v1/models/openai/none");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(error_of(unknown).at("code"), "model_not_found");
}

TEST_F(StatusRoutes, KvAndAudit) {
  EXPECT_EQ(json::parse(send("GET", "/v1/kv").body).at("bytes"), 4096);
  usage.add(base::Surface::kPermutation, 1'700'000'000, {.n = 2});
  const json audit = json::parse(send("GET", "/v1/audit").body);
  EXPECT_EQ(audit.at("caches").at(0).at("used_in").at("permutation").at("count"), 2);
  EXPECT_THAT(audit.at("verdict").get<std::string>(), StartsWith("No: of 2 caches 1 built"));
  const auto table = send("GET", "/v1/audit", "", {{"Accept", "text/plain"}});
  EXPECT_THAT(table.body, HasSubstr("used 2"));
  EXPECT_THAT(table.body, HasSubstr("response cache"));
}

TEST_F(StatusRoutes, MetricsAreLiveCounters) {
  usage.add(base::Surface::kCompletions, 1'700'000'000, {.n = 5});
  send("GET", "/health");
  send("GET", "/nowhere");
  send("POST", "/v1/completions", "{");
  const auto response = send("GET", "/metrics");
  EXPECT_THAT(std::string(response.header("content-type")), HasSubstr("version=0.0.4"));
  EXPECT_THAT(response.body,
              HasSubstr(R"(permutation_http_requests_total{method="GET",route="/health",code="2xx"} 1)"));
  EXPECT_THAT(response.body,
              HasSubstr(R"(permutation_http_requests_total{method="any",route="other",code="4xx"} 1)"));
  EXPECT_THAT(
      response.body,
      HasSubstr(R"(permutation_http_requests_total{method="POST",route="/v1/completions",code="4xx"} 1)"));
  EXPECT_THAT(response.body,
              HasSubstr(R"(permutation_http_request_seconds_count{method="GET",route="/health"} 1)"));
  EXPECT_THAT(response.body,
              HasSubstr(R"(permutation_cache_uses_total{cache="response cache",surface="completions",)"
                        R"(model="",tenant="",key=""} 5)"));
  EXPECT_THAT(response.body, HasSubstr(R"(permutation_engine_requests_total{model="tiny"} 3)"));
  EXPECT_THAT(response.body, HasSubstr(R"(permutation_engine_running{model="tiny"} 1)"));
  EXPECT_THAT(response.body, HasSubstr("# TYPE permutation_response_cache_entries gauge"));
  EXPECT_THAT(response.body, HasSubstr(R"(permutation_response_cache_hits_total{model="",tenant=""} 0)"));
  // One family, one header, however many samples.
  const auto first = response.body.find("# TYPE permutation_cache_uses_total");
  EXPECT_EQ(response.body.find("# TYPE permutation_cache_uses_total", first + 1), std::string::npos);
}

TEST_F(StatusRoutes, WrongPathsAndMethods) {
  const auto nowhere = send("GET", "/v1/nothing");
  EXPECT_EQ(nowhere.status, 404);
  EXPECT_EQ(error_of(nowhere).at("type"), "invalid_request_error");
  const auto wrong = send("GET", "/v1/chat/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("allow"), "POST");
  const auto entries = send("PATCH", "/v1/cache/entries/a");
  EXPECT_EQ(entries.status, 405);
  EXPECT_EQ(entries.header("allow"), "GET, HEAD, PUT, DELETE, POST");
  EXPECT_EQ(send("GET", "/v1/cache/entries/").status, 404);
  const auto head = send("HEAD", "/health");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
}

TEST_F(StatusRoutes, RequestIdsAreHonouredWhenSane) {
  const auto id = [this](const std::string& given) {
    return std::string(send("GET", "/health", "", {{"X-Request-Id", given}}).header("x-request-id"));
  };
  EXPECT_EQ(id("abc-123"), "abc-123");
  EXPECT_EQ(id(std::string(128, 'a')), std::string(128, 'a'));
  EXPECT_THAT(id(std::string(129, 'a')), StartsWith("req_"));
  EXPECT_THAT(id("two words"), StartsWith("req_"));
  EXPECT_NE(id(""), id(""));
}

TEST_F(StatusRoutes, TheOpenApiDocumentDescribesTheRoutesThatThereAre) {
  const auto document = nlohmann::json::parse(send("GET", "/openapi.json").body);
  std::set<std::string> described;
  for (const auto& [path, operations] : document.at("paths").items()) {
    for (const auto& [method, operation] : operations.items()) {
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(std::toupper(c));
      // Routed by their first word; what follows is the room's own.
      std::string route = path;
      for (const std::string root : {"/v1/knowledge/", "/v1/responses/"}) {
        if (path.rfind(root, 0) == 0) route = root + "{path}";
      }
      described.insert(upper + " " + route);
    }
  }
  std::set<std::string> served;
  for (std::string route : api->routes()) {
    if (route == "POST /v1/cache/entries/{key}") route += "/false_hit";
    if (route == "POST /v1/models/{name}") {
      served.insert(route + "/unload");
      route += "/load";
    }
    served.insert(std::move(route));
  }
  for (const auto& route : described)
    EXPECT_TRUE(served.contains(route)) << route << " is only in openapi.json";
  for (const auto& route : served)
    EXPECT_TRUE(described.contains(route)) << route << " isn't in openapi.json";
  EXPECT_GE(described.size(), 20U);
}

}  // namespace
}  // namespace pmt::api
