#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"

namespace pmt::api {
namespace {

using nlohmann::json;

class HistoryRoute : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    options.meter = &meter;
    options.kv_stats = [] {
      return json{{"models",
                   {{{"bytes", 10}, {"bytes_max", 40}, {"engine", {{"running", 1}, {"waiting", 2}}}},
                    {{"bytes", 5}, {"bytes_max", 40}, {"engine", {{"running", 1}, {"waiting", 0}}}}}}};
    };
  }
  json history(const std::string& range = "1h") const {
    const auto response = send("GET", "/v1/history?range=" + range);
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body);
  }
  void ask(const std::string& text) const {
    const json body = {
        {"model", "tiny"}, {"temperature", 0}, {"messages", {{{"role", "user"}, {"content", text}}}}};
    EXPECT_EQ(send("POST", "/v1/chat/completions", body.dump()).status, 200);
  }
  void compute(int call, const std::string& text) {
    std::thread player([this, call] {
      model.begin(call);
      model.say(call, "an answer");
      model.finish(call, 3);
    });
    ask(text);
    player.join();
  }

  llm::Meter meter{clock};
};

TEST_F(HistoryRoute, SaysWhatWasAskedAndHowItWasAnswered) {
  compute(0, "one");
  ask("one");
  ask("one");
  meter.add({.model = "tiny", .tenant = "", .key = ""}, {.prompt_tokens = 5, .completion_tokens = 3},
            {.cost = {.usd = 0.25}});
  const json said = history();
  const json& total = said["total"];
  EXPECT_EQ(total["requests"]["computed"], 1);
  EXPECT_EQ(total["requests"]["exact"], 2);
  EXPECT_EQ(total["requests"]["failed"], 0);
  EXPECT_EQ(total["tokens_saved"], json::parse(send("GET", "/v1/cache").body)["tokens_saved"]);
  EXPECT_EQ(total["tokens_written"], 3);
  EXPECT_EQ(total["usd_spent"], 0.25);
  EXPECT_GE(total["seconds_saved"].get<double>(), 0);
  EXPECT_TRUE(total["ttft_ms"]["p50"].is_number());
  EXPECT_EQ(said["steps"]["kv_bytes"].back(), 15);
  EXPECT_EQ(said["steps"]["waiting"].back(), 2);
  for (const auto& [name, column] : said["steps"].items()) {
    const json& each = name == "requests" ? column["exact"] : name == "ttft_ms" ? column["p50"] : column;
    EXPECT_EQ(each.size(), 120U) << name;
  }
  EXPECT_EQ(history()["total"], total) << "who looks counts nothing";
}

TEST_F(HistoryRoute, FailuresAreCountedAsSuch) {
  std::thread player([this] {
    model.begin(0);
    model.fail(0, base::Code::kUnavailable, "no");
  });
  send("POST", "/v1/chat/completions",
       R"({"model": "tiny", "messages": [{"role": "user", "content": "x"}]})");
  player.join();
  EXPECT_EQ(history()["total"]["requests"]["failed"], 1);
}

TEST_F(HistoryRoute, ARangeThatThereIsntIsNamed) {
  EXPECT_EQ(history("30d")["step_s"], 21'600);
  EXPECT_EQ(json::parse(send("GET", "/v1/history").body)["range"], "24h");
  const auto response = send("GET", "/v1/history?range=1y");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response)["param"], "range");
}

}  // namespace
}  // namespace pmt::api
