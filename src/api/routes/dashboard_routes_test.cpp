#include "api/routes/dashboard_routes.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"
#include "net/sse.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Dashboard : public TestServer {
 protected:
  net::ClientResponse ask(int call) {
    std::thread model_thread([this, call] {
      model.begin(call);
      model.say(call, "an answer");
      model.say(call, " in two");
      model.finish(call, 2);
    });
    auto response =
        send("POST", "/v1/chat/completions",
             R"({"model": "tiny", "temperature": 0, "messages": [{"role": "user", "content": "q)" +
                 std::to_string(call) + R"("}]})");
    model_thread.join();
    return response;
  }
  json items(const std::string& query) {
    const auto response = send("GET", "/v1/dashboard/items?" + query);
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body);
  }
};

TEST_F(Dashboard, ThePageHasItsPolicy) {
  const auto page = send("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(std::string(page.header("content-security-policy")), HasSubstr("default-src 'none'"));
}

TEST_F(Dashboard, TheStreamsFirstEventHoldsWhatHappened) {
  ask(0);
  // A hit: of the two answers' tokens it saved half.
  const std::string again =
      R"({"model": "tiny", "temperature": 0, "messages": [{"role": "user", "content": "q0"}]})";
  EXPECT_EQ(send("POST", "/v1/chat/completions", again).header("x-permutation-cache"), "hit");
  std::vector<std::string> got;
  net::SseParser parser;
  const auto response = client()->stream("GET", "/v1/dashboard/events", {}, "", [&](std::string_view bytes) {
    for (auto& event : parser.feed(bytes)) got.push_back(std::move(event));
    return got.empty();
  });
  ASSERT_TRUE(response);
  const json snapshot = json::parse(got.at(0));
  EXPECT_EQ(snapshot["cache"], json::parse(send("GET", "/v1/cache").body)) << "one object for both";
  EXPECT_EQ(snapshot["cache"]["misses"], 1);
  EXPECT_EQ(snapshot["cache"]["hit_rate"], 0.5);
  EXPECT_EQ(snapshot["cache"]["token_hit_rate"], 0.5);
  EXPECT_EQ(snapshot["latency"]["samples"], 1);
  EXPECT_GE(snapshot["latency"]["ttft_ms"]["p50"].get<double>(), 0);
  ASSERT_EQ(snapshot["requests"].size(), 2U);
  EXPECT_EQ(snapshot["requests"][0]["completion"]["cache"]["status"], "hit");
  EXPECT_EQ(snapshot["requests"][1]["completion"]["cache"]["status"], "miss");
  ASSERT_EQ(snapshot["callers"].size(), 1U);
  const json& caller = snapshot["callers"][0];
  EXPECT_EQ(caller["model"], "tiny");
  EXPECT_EQ(caller["answers"]["hit"], 1);
  EXPECT_EQ(caller["answers"]["miss"], 1);
  EXPECT_EQ(caller["tokens_saved"], snapshot["cache"]["tokens_saved"]);
}

TEST_F(Dashboard, EntriesAreFoundPagedAndFlagged) {
  ask(0);
  for (int i = 0; i < 30; ++i)
    send("PUT", "/v1/cache/entries/k" + std::to_string(i),
         R"({"value": )" + std::to_string(i) + R"(, "tags": ["bulk"]})");
  EXPECT_EQ(items("kind=cache")["total"], 31);
  EXPECT_EQ(items("kind=cache")["lines"], 31);
  EXPECT_EQ(items("kind=cache")["items"].size(), 20U);
  EXPECT_EQ(items("kind=cache&page=1")["items"].size(), 11U);
  EXPECT_EQ(items("kind=cache&page=9")["items"].size(), 0U);
  EXPECT_EQ(items("kind=cache&q=BULK")["total"], 30);
  const json found = items("kind=cache&q=in+two");
  ASSERT_EQ(found["items"].size(), 1U);
  EXPECT_EQ(found["items"][0]["preview"], "an answer in two");
  const std::string entry = "/v1/cache/entries/" + found["items"][0]["key"].get<std::string>();
  const json before = json::parse(send("GET", "/v1/cache").body);
  EXPECT_EQ(json::parse(send("POST", entry + "/false_hit").body)["false_hits"], 1);
  EXPECT_EQ(send("GET", entry).status, 404);
  json after = json::parse(send("GET", "/v1/cache").body);
  EXPECT_EQ(after["false_hits"], 1);
  EXPECT_EQ(after["purged"], before["purged"].get<int>() + 1);
  EXPECT_EQ(after["entries"], before["entries"].get<int>() - 1);
  for (const char* moved : {"false_hits", "purged", "entries", "bytes", "ram"}) after[moved] = before[moved];
  EXPECT_EQ(after, before) << "a complaint is no lookup";
  EXPECT_EQ(send("POST", entry + "/false_hit").status, 404);
}

TEST_F(Dashboard, RequestsAreListedWithoutTheDashboardsOwn) {
  ask(0);
  items("kind=requests");
  const json list = items("kind=requests");
  ASSERT_EQ(list["total"], 1);
  EXPECT_EQ(list["items"][0]["route"], "/v1/chat/completions");
  EXPECT_EQ(list["items"][0]["completion"]["timing"]["prefill_ms"], 2);
  EXPECT_EQ(items("kind=trajectories")["total"], 0);
}

TEST_F(Dashboard, RequestsAreFoundByWhatBecameOfThem) {
  ask(0);
  const std::string again =
      R"({"model": "tiny", "temperature": 0, "messages": [{"role": "user", "content": "q0"}]})";
  send("POST", "/v1/chat/completions", again);
  send("POST", "/v1/chat/completions",
       R"({"model": "none", "messages": [{"role": "user", "content": "x"}]})");
  for (const auto& [only, status] :
       {std::pair("failed", 404), std::pair("memory", 200), std::pair("computed", 200)}) {
    const json list = items(std::string("kind=requests&only=") + only);
    ASSERT_EQ(list["total"], 1) << only << list;
    EXPECT_EQ(list["items"][0]["status"], status) << only;
  }
  EXPECT_THAT(items("kind=requests&only=failed")["items"][0]["error"].get<std::string>(), HasSubstr("none"));
  const json found = items("kind=requests&only=memory")["items"][0];
  EXPECT_EQ(found["completion"]["cache"]["status"], "hit");
  EXPECT_EQ(items("kind=requests&q=" + found["id"].get<std::string>())["items"][0]["id"], found["id"]);
}

TEST_F(Dashboard, BadQueriesNameTheField) {
  for (const char* query : {"", "kind=all", "kind=cache&page=-1", "kind=cache&page=x", "kind=cache&fold=x",
                            "kind=requests&only=all"})
    EXPECT_EQ(send("GET", std::string("/v1/dashboard/items?") + query).status, 400) << query;
}

}  // namespace
}  // namespace pmt::api
