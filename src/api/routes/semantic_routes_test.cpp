#include "api/routes/semantic_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// All texts are alike, but for those that speak of the sea.
class OneDirection final : public llm::Embedder {
 public:
  void embed_async(std::vector<llm::EmbedInput> inputs, base::CancelToken, Done done) override {
    llm::Embeddings out{.width = 384, .values = {}, .tokens = 1};
    for (const auto& input : inputs) {
      std::vector<float> row(384);
      row[input.text.find("sea") == std::string::npos ? 0 : 1] = 1;
      out.values.insert(out.values.end(), row.begin(), row.end());
    }
    done(std::move(out));
  }
};

class SemanticRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override {
    tier = std::make_unique<response_cache::SemanticTier>(
        embedder, cache, clock, response_cache::SemanticTier::Options{.random = [] { return 0.5; }});
    options.semantic = tier.get();
    cached = std::make_unique<response_cache::CachedCompleter>(
        model, cache, clock,
        response_cache::CachedCompleterOptions{
            .model = "tiny", .versions = {}, .price = {}, .semantic = tier.get()});
    options.models["tiny"].completer = cached.get();
  }
  net::ClientResponse ask(const std::string& question) {
    const json body{{"model", "tiny"},
                    {"temperature", 0},
                    {"messages", {{{"role", "user"}, {"content", question}}}},
                    {"permutation", {{"cache", {{"semantic", {{"error_max", 0.1}}}}}}}};
    const int before = model.calls();
    return send_while("/v1/chat/completions", body.dump(), [&] {
      for (int i = 0; i < 200 && model.calls() == before; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (model.calls() > before) model.answer(before, {"Lima"});
    });
  }
  json pairs(const std::string& query = "") {
    const auto response = send("GET", "/v1/cache/pairs" + query);
    EXPECT_EQ(response.status, 200) << response.body;
    return json::parse(response.body);
  }
  net::ClientResponse judge(int id, const std::string& body) {
    return send("POST", "/v1/cache/pairs/" + std::to_string(id), body);
  }

  OneDirection embedder;
  std::unique_ptr<response_cache::SemanticTier> tier;
};

TEST_F(SemanticRoutes, APairIsListedJudgedAndCounted) {
  ask("What is the capital city of Peru?");
  EXPECT_EQ(ask("the capital city of Peru, what is it?").header("x-permutation-cache"), "semantic_hit");
  const json list = pairs();
  ASSERT_EQ(list["total"], 1);
  const json& pair = list["items"][0];
  EXPECT_EQ(pair["question"], "the capital city of Peru, what is it?");
  EXPECT_EQ(pair["nearest"], "What is the capital city of Peru?");
  EXPECT_EQ(pair["answer"], "Lima");
  EXPECT_EQ(pair["outcome"], "served");
  EXPECT_EQ(pair["verdict"], nullptr);
  EXPECT_GT(pair["chance"], 0.9);

  EXPECT_EQ(json::parse(judge(1, R"({"verdict": "different"})").body)["verdict"], "different");
  const json figures = json::parse(send("GET", "/v1/cache").body);
  EXPECT_EQ(figures["semantic"]["quality"]["compared"], 1);
  EXPECT_EQ(figures["semantic"]["quality"]["wrong"], 1);
  EXPECT_NEAR(figures["semantic"]["quality"]["wrong_low"], 0.025, 1e-6);
  EXPECT_EQ(figures["semantic"]["judged"], json({{"same", 0}, {"different", 1}}));
  EXPECT_EQ(figures["false_hits"], 1);
  EXPECT_THAT(send("GET", "/metrics").body,
              HasSubstr(R"(permutation_semantic_cache_wrong{model="tiny",tenant=""} 1)"));
  EXPECT_EQ(pairs("?only=unjudged")["total"], 0);
  EXPECT_EQ(pairs("?only=judged")["total"], 1);
  EXPECT_EQ(json::parse(judge(1, R"({"verdict": null})").body)["verdict"], nullptr);
  EXPECT_EQ(json::parse(send("GET", "/v1/cache").body)["semantic"]["quality"]["compared"], 0);
}

TEST_F(SemanticRoutes, WhatIsNoVerdictIsRefused) {
  for (const char* body :
       {"", "[]", "{}", R"({"verdict": "maybe"})", R"({"verdict": 1})", R"({"word": "same"})"})
    EXPECT_EQ(judge(1, body).status, 400) << body;
  EXPECT_EQ(judge(1, R"({"verdict": "same"})").status, 404);
  EXPECT_EQ(send("POST", "/v1/cache/pairs/x", R"({"verdict": "same"})").status, 400);
  EXPECT_EQ(send("GET", "/v1/cache/pairs?only=all").status, 400);
  EXPECT_EQ(send("GET", "/v1/cache/pairs?page=-1").status, 400);
}

class NoSemanticTier : public TestServer {};
TEST_F(NoSemanticTier, SaysSo) {
  EXPECT_EQ(send("GET", "/v1/cache/pairs").status, 404);
}

}  // namespace
}  // namespace pmt::api
