#include "api/completions/rerank_routes.h"

#include <gmock/gmock.h>

#include "api/test_server.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// A text is a point on the circle at so many degrees.
class Degrees final : public llm::Embedder {
 public:
  void embed_async(std::vector<llm::EmbedInput> inputs, base::CancelToken, Done done) override {
    llm::Embeddings out{.width = 2, .values = {}, .tokens = static_cast<std::int64_t>(3 * inputs.size())};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].text == "too long") {
        const std::string field = "input[" + std::to_string(i) + "]";
        return done(base::Error{base::Code::kTooLarge, "'" + field + "' has 600 tokens", field});
      }
      const double angle = std::stod(inputs[i].text) * 3.14159265358979 / 180;
      out.values.insert(out.values.end(),
                        {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
    }
    done(std::move(out));
  }
};

class RerankRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override { options.embedders["vectors"] = {.embedder = &embedder}; }
  net::ClientResponse post(const json& body) const { return send("POST", "/v1/rerank", body.dump()); }
  Degrees embedder;
};

TEST_F(RerankRoutes, TheNearestComesFirst) {
  const auto response =
      post({{"model", "vectors"}, {"query", "10"}, {"documents", {"90", "20", {{"text", "20"}}, "190"}}});
  ASSERT_EQ(response.status, 200) << response.body;
  const json body = json::parse(response.body);
  EXPECT_EQ(body.at("model"), "vectors");
  EXPECT_THAT(body.at("id").get<std::string>(), HasSubstr("rerank-"));
  EXPECT_EQ(body.at("usage"), json({{"prompt_tokens", 15}, {"total_tokens", 15}}));
  std::vector<int> order;
  for (const json& result : body.at("results")) order.push_back(result.at("index"));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 0, 3})) << "of equal ones the first";
  EXPECT_NEAR(body.at("results")[0].at("relevance_score").get<double>(), std::cos(10 * 3.14159265 / 180),
              1e-5);
  EXPECT_NEAR(body.at("results")[3].at("relevance_score").get<double>(), -1, 1e-5);
  EXPECT_EQ(body.at("results")[1].at("document"), json({{"text", "20"}}));
}

TEST_F(RerankRoutes, FewerAndWithoutTexts) {
  const json body = json::parse(
      post({{"query", "0"}, {"documents", {"3", "1", "2"}}, {"top_n", 2}, {"return_documents", false}}).body);
  ASSERT_EQ(body.at("results").size(), 2U);
  EXPECT_EQ(body.at("results")[0].at("index"), 1);
  EXPECT_FALSE(body.at("results")[0].contains("document"));
  EXPECT_EQ(body.at("model"), "vectors") << "the only one";
  EXPECT_EQ(json::parse(post({{"query", "0"}, {"documents", {"1"}}, {"top_n", 9}}).body).at("results").size(),
            1U);
}

TEST_F(RerankRoutes, SaysWhatIsWrong) {
  const auto param = [&](const json& body, int status = 400) {
    const auto response = post(body);
    EXPECT_EQ(response.status, status) << response.body;
    return error_of(response).at("param").get<std::string>();
  };
  EXPECT_EQ(param({{"model", "tiny"}, {"query", "0"}, {"documents", {"1"}}}), "model") << "it writes";
  EXPECT_EQ(param({{"model", "none"}, {"query", "0"}, {"documents", {"1"}}}, 404), "model");
  EXPECT_EQ(param({{"documents", {"1"}}}), "query");
  EXPECT_EQ(param({{"query", "0"}}), "documents");
  EXPECT_EQ(param({{"query", "0"}, {"documents", json::array()}}), "documents");
  EXPECT_EQ(param({{"query", "0"}, {"documents", {"1", ""}}}), "documents[1]");
  EXPECT_EQ(param({{"query", "0"}, {"documents", {"1", 5}}}), "documents[1]");
  EXPECT_EQ(param({{"query", "0"}, {"documents", {"1", {{"title", "x"}}}}}), "documents[1].text");
  EXPECT_EQ(param({{"query", "0"}, {"documents", {"1"}}, {"top_n", 0}}), "top_n");
  EXPECT_EQ(param({{"query", "too long"}, {"documents", {"1"}}}), "query");
  const auto late = post({{"query", "0"}, {"documents", {"1", "too long"}}});
  EXPECT_EQ(late.status, 400) << "as any context that is too long";
  EXPECT_EQ(error_of(late).at("message"), "'documents[1]' has 600 tokens");
}

}  // namespace
}  // namespace pmt::api
