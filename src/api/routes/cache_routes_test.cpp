#include "api/routes/cache_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CacheRoutes : public TestServer {
 protected:
  json put(const std::string& key, const std::string& body) {
    const auto response = send("PUT", "/v1/cache/entries/" + key, body);
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body);
  }
};

TEST_F(CacheRoutes, PutGetDelete) {
  const json put_answer =
      put("rlm%2Fa%20b", R"({"value": {"x": [1, null]}, "tokens": 7, "ttl_s": 60, "tags": ["t"]})");
  EXPECT_EQ(put_answer.at("stored"), true);
  EXPECT_EQ(put_answer.at("key"), key_of("rlm/a b").hex());

  const auto got = json::parse(send("GET", "/v1/cache/entries/rlm%2Fa%20b").body);
  EXPECT_EQ(got.at("value"), json::parse(R"({"x": [1, null]})"));
  EXPECT_EQ(got.at("tokens"), 7);
  EXPECT_EQ(got.at("ttl_s"), 60);
  EXPECT_EQ(got.at("tags"), json({"t"}));
  // The digest that the answers name is a key too.
  EXPECT_EQ(send("GET", "/v1/cache/entries/" + got.at("key").get<std::string>()).status, 200);

  EXPECT_EQ(json::parse(send("DELETE", "/v1/cache/entries/rlm%2Fa%20b").body).at("deleted"), true);
  const auto gone = send("GET", "/v1/cache/entries/rlm%2Fa%20b");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(error_of(gone).at("param"), "key");
  EXPECT_EQ(send("DELETE", "/v1/cache/entries/rlm%2Fa%20b").status, 404);
}

/// A caller may not put words into the model's mouth: 64 hex digits are a name like any other.
TEST_F(CacheRoutes, ACallersKeyNeverNamesACompletion) {
  const auto completion = response_cache::Key::of_hex(std::string(64, 'a'));
  const json put_answer = put(completion->hex(), R"({"value": "forged"})");
  EXPECT_NE(put_answer.at("key"), completion->hex());
  EXPECT_EQ(cache.get(*completion), nullptr);
  EXPECT_EQ(json::parse(send("GET", "/v1/cache/entries/" + completion->hex()).body).at("value"), "forged");
  ASSERT_TRUE(cache.store(*completion, {json("true")}, {}));
  EXPECT_EQ(json::parse(send("GET", "/v1/cache/entries/" + completion->hex()).body).at("value"), "forged");
  EXPECT_EQ(send("DELETE", "/v1/cache/entries/" + completion->hex()).status, 200);
  // With the caller's own gone, the digest shows and deletes what it names.
  EXPECT_EQ(json::parse(send("GET", "/v1/cache/entries/" + completion->hex()).body).at("value"), "true");
  EXPECT_EQ(send("DELETE", "/v1/cache/entries/" + completion->hex()).status, 200);
  EXPECT_EQ(send("GET", "/v1/cache/entries/" + completion->hex()).status, 404);
}

TEST_F(CacheRoutes, NullIsAValueAndNotReusableIsNotStored) {
  put("nothing", R"({"value": null})");
  EXPECT_EQ(json::parse(send("GET", "/v1/cache/entries/nothing").body).at("value"), nullptr);
  EXPECT_EQ(put("once", R"({"value": 1, "reusable": false})").at("stored"), false);
  EXPECT_EQ(send("GET", "/v1/cache/entries/once").status, 404);
}

TEST_F(CacheRoutes, BadEntriesLeaveTheOldOneAlone) {
  put("k", R"({"value": "old"})");
  const auto refused = [this](const std::string& body) {
    const auto response = send("PUT", "/v1/cache/entries/k", body);
    EXPECT_EQ(response.status, 400) << body;
    return error_of(response).at("param");
  };
  EXPECT_EQ(refused("{}"), "value");
  EXPECT_EQ(refused(R"({"value": 1, "tokens": -1})"), "tokens");
  EXPECT_EQ(refused(R"({"value": 1, "ttl_s": 0})"), "ttl_s");
  EXPECT_EQ(refused(R"({"value": 1, "tags": "a"})"), "tags");
  EXPECT_EQ(refused(R"({"value": 1, "ttl": 5})"), "ttl");
  EXPECT_EQ(refused("nonsense"), nullptr);
  EXPECT_EQ(json::parse(send("GET", "/v1/cache/entries/k").body).at("value"), "old");
}

TEST_F(CacheRoutes, StatisticsAndPurge) {
  put("a", R"({"value": 1, "tokens": 5, "tags": ["x"], "namespace": "n1"})");
  put("b", R"({"value": 2, "tags": ["x", "y"], "namespace": "n2"})");
  put("c", R"({"value": 3})");
  send("GET", "/v1/cache/entries/a");
  send("GET", "/v1/cache/entries/none");
  const json stats = json::parse(send("GET", "/v1/cache").body);
  EXPECT_EQ(stats.at("entries"), 3);
  EXPECT_EQ(stats.at("hits").at("exact"), 1);
  EXPECT_EQ(stats.at("misses"), 1);
  EXPECT_EQ(stats.at("hit_rate"), 0.5);
  EXPECT_EQ(stats.at("tokens_saved"), 5);
  EXPECT_GT(stats.at("bytes"), 0);

  const auto purged = [this](const std::string& query) {
    return json::parse(send("DELETE", "/v1/cache" + query).body).at("purged");
  };
  EXPECT_EQ(purged("?tag=x&namespace=n2"), 1);
  EXPECT_EQ(purged("?prefix=" + key_of("a").hex().substr(0, 10)), 1);
  EXPECT_EQ(purged("?tag=x"), 0);
  EXPECT_EQ(purged(""), 1);
}

TEST_F(CacheRoutes, AMisspeltFilterPurgesNothing) {
  put("a", R"({"value": 1})");
  const auto misspelt = send("DELETE", "/v1/cache?tags=x");
  EXPECT_EQ(misspelt.status, 400);
  EXPECT_THAT(error_of(misspelt).at("message").get<std::string>(), HasSubstr("did you mean 'tag'?"));
  EXPECT_EQ(send("DELETE", "/v1/cache?tag=").status, 400);
  EXPECT_EQ(send("DELETE", "/v1/cache?tag=a&tag=b").status, 400);
  EXPECT_EQ(send("DELETE", "/v1/cache?prefix=xyz").status, 400);
  EXPECT_EQ(cache.stats().entries, 1U);
}

TEST_F(CacheRoutes, ACompletionsEntryIsReadable) {
  const auto answer = send_while(
      "/v1/chat/completions",
      R"({"model": "tiny", "temperature": 0, "messages": [{"role": "user", "content": "2 + 2?"}]})", [this] {
        model.answer(0, {"It is", " four."});
      });
  const auto entry = json::parse(
      send("GET", "/v1/cache/entries/" + std::string(answer.header("x-permutation-cache-key"))).body);
  EXPECT_EQ(entry.at("value").at("choices").at(0).at("text"), "It is four.");
  EXPECT_EQ(entry.at("value").at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(entry.at("model"), "tiny");
}

/// Whoever looks at an answer, lists, exports, purges what isn't there or asks for the figures changes no figure.
TEST_F(CacheRoutes, LookingMovesNoFigure) {
  const auto answer = send_while(
      "/v1/chat/completions",
      R"({"model": "tiny", "temperature": 0, "messages": [{"role": "user", "content": "2 + 2?"}]})", [this] {
        model.answer(0, {"It is", " four."});
      });
  const std::string entry = "/v1/cache/entries/" + std::string(answer.header("x-permutation-cache-key"));
  const std::string before = send("GET", "/v1/cache").body;
  EXPECT_EQ(json::parse(before).at("lookups"), 1);
  EXPECT_EQ(send("GET", entry).status, 200);
  EXPECT_EQ(send("GET", "/v1/cache/entries/" + std::string(64, 'a')).status, 404);
  EXPECT_EQ(send("GET", "/v1/cache/export").status, 200);
  EXPECT_EQ(send("GET", "/v1/dashboard/items?kind=cache").status, 200);
  EXPECT_EQ(send("GET", "/metrics").status, 200);
  EXPECT_EQ(send("DELETE", "/v1/cache?tag=none").status, 200);
  EXPECT_EQ(send("DELETE", "/v1/cache/entries/none").status, 404);
  EXPECT_EQ(send("DELETE", "/v1/cache/entries/" + std::string(64, 'a')).status, 404);
  EXPECT_EQ(send("POST", "/v1/cache/entries/" + std::string(64, 'a') + "/false_hit").status, 404);
  EXPECT_EQ(send("GET", "/v1/cache").body, before);
}

/// A value under 64 hex digits is used like any other that was put.
TEST_F(CacheRoutes, AnOwnValueCountsWhateverItsName) {
  const std::string name(64, 'b');
  put(name, R"({"value": 1, "tokens": 5})");
  EXPECT_EQ(send("GET", "/v1/cache/entries/" + name).status, 200);
  const json stats = json::parse(send("GET", "/v1/cache").body);
  EXPECT_EQ(stats.at("hits").at("exact"), 1);
  EXPECT_EQ(stats.at("tokens_saved"), 5);
  EXPECT_EQ(stats.at("misses"), 0);
  EXPECT_EQ(stats.at("entries"), 1);
  EXPECT_EQ(stats.at("ram").at("entries"), 1);
}

class NoCache : public TestServer {
  void adjust(ApiOptions& options) override { options.cache = nullptr; }
};

TEST_F(NoCache, SaysSo) {
  EXPECT_EQ(send("GET", "/v1/cache").status, 404);
  EXPECT_EQ(send("GET", "/v1/kv").status, 404);
  EXPECT_EQ(send("GET", "/v1/audit").status, 404);
  const auto only = send("POST", "/v1/chat/completions",
                         R"({"model": "bare", "messages": [{"role": "user", "content": "x"}]})",
                         {{"Cache-Control", "only-if-cached"}});
  EXPECT_EQ(only.status, 504);
  EXPECT_EQ(model.calls(), 0);
}

}  // namespace
}  // namespace pmt::api
