#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "api/test_server.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class UpstreamRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    options.upstream_servers = [this] { return servers; };
    options.drain_server = [this](const std::string& upstream, const std::string& url, bool draining) {
      for (UpstreamServer& one : servers) {
        if (one.upstream != upstream || one.url != url) continue;
        one.draining = draining;
        return base::Status();
      }
      return base::Status(base::Error{base::Code::kNotFound, "there is no such server", "server"});
    };
  }
  json drain(const json& body, int status) {
    const auto answer = send("POST", "/v1/upstreams/drain", body.dump());
    EXPECT_EQ(answer.status, status) << answer.body;
    return json::parse(answer.body);
  }

  std::vector<UpstreamServer> servers = {
      {.upstream = "a", .balance = "prefix", .url = "http://1", .in_flight = 2, .requests = 9, .failed = 1},
      {.upstream = "a", .balance = "prefix", .url = "http://2", .down = true, .down_s = 12.5},
      {.upstream = "b", .balance = "least_busy", .url = "http://1"}};
};

TEST_F(UpstreamRoutes, EachServerShowsItsState) {
  const json all = json::parse(send("GET", "/v1/upstreams").body).at("upstreams");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].at("name"), "a");
  EXPECT_EQ(all[0].at("balance"), "prefix");
  EXPECT_EQ(all[0].at("servers").at(0), json::parse(R"({"url":"http://1","healthy":true,"draining":false,
      "in_flight":2,"requests":9,"failed":1,"probes":0,"down_s":0.0})"));
  EXPECT_EQ(all[0].at("servers").at(1).at("healthy"), false);
  EXPECT_EQ(all[0].at("servers").at(1).at("down_s"), 12.5);
  EXPECT_EQ(all[1].at("servers").size(), 1U);
}

TEST_F(UpstreamRoutes, AServerIsTakenOutAndPutBack) {
  const json out = drain({{"upstream", "b"}, {"server", "http://1"}}, 200);
  EXPECT_EQ(out.at("upstreams").at(1).at("servers").at(0).at("draining"), true);
  EXPECT_EQ(out.at("upstreams").at(0).at("servers").at(0).at("draining"), false);
  const json back = drain({{"upstream", "b"}, {"server", "http://1"}, {"draining", false}}, 200);
  EXPECT_EQ(back.at("upstreams").at(1).at("servers").at(0).at("draining"), false);
}

TEST_F(UpstreamRoutes, WhatCantBeIsNamedAndChangesNothing) {
  const auto param = [this](const json& body, int status) {
    return drain(body, status).at("error").at("param");
  };
  EXPECT_EQ(param({{"server", "http://1"}}, 400), "upstream");
  EXPECT_EQ(param({{"upstream", "a"}}, 400), "server");
  EXPECT_EQ(param({{"upstream", "a"}, {"server", "http://1"}, {"draining", "no"}}, 400), "draining");
  EXPECT_EQ(param({{"upstream", "a"}, {"server", "http://1"}, {"drainning", false}}, 400), "drainning");
  EXPECT_EQ(param({{"upstream", "a"}, {"server", "http://3"}}, 404), "server");
  for (const UpstreamServer& one : servers) EXPECT_FALSE(one.draining);
}

TEST_F(UpstreamRoutes, MetricsHaveEachServersLabels) {
  const std::string text = send("GET", "/metrics").body;
  const std::string first = R"({upstream="a",server="http://1"} )",
                    second = R"({upstream="a",server="http://2"} )";
  EXPECT_THAT(text, HasSubstr("permutation_upstream_server_requests_total" + first + "9\n"));
  EXPECT_THAT(text, HasSubstr("permutation_upstream_server_failed_total" + first + "1\n"));
  EXPECT_THAT(text, HasSubstr("permutation_upstream_server_in_flight" + first + "2\n"));
  EXPECT_THAT(text, HasSubstr("permutation_upstream_server_up" + first + "1\n"));
  EXPECT_THAT(text, HasSubstr("permutation_upstream_server_up" + second + "0\n"));
  EXPECT_THAT(text, HasSubstr("permutation_upstream_server_draining" + second + "0\n"));
}

}  // namespace
}  // namespace pmt::api
