#include "api/completions/embedding_routes.h"

#include <algorithm>

#include "api/test_server.h"

namespace pmt::api {
namespace {

using nlohmann::json;

/// Row i of a call is (3, 4, i) made short: a test can tell rows apart and check lengths.
class ScriptedEmbedder final : public llm::Embedder {
 public:
  void embed_async(std::vector<llm::EmbedInput> inputs, base::CancelToken, Done done) override {
    if (inputs[0].text == "too long") {
      return done(base::Error{base::Code::kTooLarge, "'input' has 600 tokens", "input"});
    }
    llm::Embeddings out{.width = 3, .values = {}, .tokens = static_cast<std::int64_t>(7 * inputs.size())};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      out.values.insert(out.values.end(), {0.6F, 0.8F, static_cast<float>(i)});
    }
    seen = std::move(inputs);
    done(std::move(out));
  }
  std::vector<llm::EmbedInput> seen;
};

class EmbeddingRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override { options.embedders["vectors"] = {.embedder = &embedder}; }
  net::ClientResponse post(const json& body) const { return send("POST", "/v1/embeddings", body.dump()); }
  ScriptedEmbedder embedder;
};

TEST_F(EmbeddingRoutes, OneTextInOpenAIsShape) {
  const auto response = post({{"model", "vectors"}, {"input", "hello"}});
  ASSERT_EQ(response.status, 200) << response.body;
  const json body = json::parse(response.body);
  EXPECT_EQ(body.at("object"), "list");
  EXPECT_EQ(body.at("model"), "vectors");
  EXPECT_EQ(body.at("usage"), json({{"prompt_tokens", 7}, {"total_tokens", 7}}));
  ASSERT_EQ(body.at("data").size(), 1U);
  EXPECT_EQ(body.at("data")[0].at("object"), "embedding");
  EXPECT_EQ(body.at("data")[0].at("index"), 0);
  EXPECT_FLOAT_EQ(body.at("data")[0].at("embedding")[1], 0.8F);
}

TEST_F(EmbeddingRoutes, EveryKindOfInput) {
  EXPECT_EQ(post({{"model", "vectors"}, {"input", {"a", "b"}}}).status, 200);
  ASSERT_EQ(embedder.seen.size(), 2U);
  EXPECT_EQ(embedder.seen[1].text, "b");
  EXPECT_EQ(post({{"model", "vectors"}, {"input", {1, 2, 3}}}).status, 200);
  ASSERT_EQ(embedder.seen.size(), 1U);
  EXPECT_EQ(embedder.seen[0].tokens, (std::vector<std::int32_t>{1, 2, 3}));
  EXPECT_EQ(post({{"model", "vectors"}, {"input", {{1, 2}, {3}}}}).status, 200);
  ASSERT_EQ(embedder.seen.size(), 2U);
  EXPECT_EQ(embedder.seen[1].tokens, (std::vector<std::int32_t>{3}));
}

TEST_F(EmbeddingRoutes, Base64IsTheSameFloats) {
  const auto response = post({{"model", "vectors"}, {"input", "x"}, {"encoding_format", "base64"}});
  // 0.6F, 0.8F, 0.0F, little-endian, by coreutils' base64.
  EXPECT_EQ(json::parse(response.body).at("data")[0].at("embedding"), "mpkZP83MTD8AAAAA");
}

TEST_F(EmbeddingRoutes, FewerDimensionsHaveLengthOneAgain) {
  const auto response = post({{"model", "vectors"}, {"input", {"x", "y"}}, {"dimensions", 1}});
  const json row = json::parse(response.body).at("data")[1].at("embedding");
  ASSERT_EQ(row.size(), 1U);
  EXPECT_FLOAT_EQ(row[0], 1);
}

TEST_F(EmbeddingRoutes, BadInputNamesTheField) {
  const auto expect = [&](const json& body, int status, const std::string& param, const std::string& word) {
    const auto response = post(body);
    EXPECT_EQ(response.status, status) << body;
    const json error = error_of(response);
    EXPECT_EQ(error.at("param"), param) << body;
    EXPECT_NE(error.at("message").get<std::string>().find(word), std::string::npos) << error;
  };
  expect({{"model", "vectors"}}, 400, "input", "required");
  expect({{"input", "x"}}, 400, "model", "required");
  expect({{"model", "vectors"}, {"input", ""}}, 400, "input", "empty");
  expect({{"model", "vectors"}, {"input", json::array()}}, 400, "input", "empty");
  expect({{"model", "vectors"}, {"input", {"a", ""}}}, 400, "input[1]", "empty");
  expect({{"model", "vectors"}, {"input", {"a", 5}}}, 400, "input[1]", "string");
  expect({{"model", "vectors"}, {"input", {{1}, json::array()}}}, 400, "input[1]", "empty");
  expect({{"model", "vectors"}, {"input", {1, -2}}}, 400, "input[1]", "-2");
  expect({{"model", "vectors"}, {"input", 5}}, 400, "input", "5");
  expect({{"model", "vectors"}, {"input", "x"}, {"encoding_format", "f8"}}, 400, "encoding_format", "base64");
  expect({{"model", "vectors"}, {"input", "x"}, {"dimensions", 0}}, 400, "dimensions", "0");
  expect({{"model", "vectors"}, {"input", "x"}, {"dimensions", 4}}, 400, "dimensions", "at most 3");
  expect({{"model", "vectors"}, {"input", "too long"}}, 400, "input", "600 tokens");
  expect({{"model", "tiny"}, {"input", "x"}}, 404, "model", "vectors");
  expect({{"model", "other"}, {"input", "x"}}, 404, "model", "vectors");
  expect({{"model", "vectors"}, {"input", std::vector<std::string>(2049, "x")}}, 400, "input", "2048");
}

TEST_F(EmbeddingRoutes, IsListedAndDoesNotWrite) {
  const json list = json::parse(send("GET", "/v1/models").body).at("data");
  EXPECT_TRUE(std::any_of(list.begin(), list.end(), [](const json& m) { return m.at("id") == "vectors"; }));
  EXPECT_EQ(send("GET", "/v1/models/vectors").status, 200);
  const auto response =
      send("POST", "/v1/chat/completions",
           R"({"model":"vectors","messages":[{"role":"user","content":"hi"}],"temperature":0})");
  EXPECT_EQ(response.status, 404);
  EXPECT_NE(error_of(response).at("message").get<std::string>().find("/v1/embeddings"), std::string::npos);
}

class ScriptedForwarder final : public llm::Forwarder {
 public:
  void forward(Asked asked, const base::CancelToken&, Done done) override {
    seen = std::move(asked);
    if (seen.body.find("refuse") != std::string::npos)
      return done(base::Error{base::Code::kInvalidArgument, "upstream p: no", "input"});
    done(std::string(R"({"model":"p/e","data":[1.50],"usage":{"prompt_tokens":7}})"));
  }
  Asked seen;
};

class ForwardedEmbeddings : public EmbeddingRoutes {
 protected:
  void adjust(ApiOptions& options) override {
    EmbeddingRoutes::adjust(options);
    options.embedders["p/e"] = {.forwarder = &forwarder};
  }
  ScriptedForwarder forwarder;
};

TEST_F(ForwardedEmbeddings, AnUpstreamsModelGetsAndGivesWhatWasWritten) {
  const std::string asked =
      R"({ "input":{"image":"x"}, "dimensions":12345678901234567890123, "model":"p/e"})";
  const auto response = send("POST", "/v1/embeddings", asked);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"model":"p/e","data":[1.50],"usage":{"prompt_tokens":7}})");
  EXPECT_EQ(forwarder.seen.body, asked);
  EXPECT_FALSE(forwarder.seen.id.empty());
  EXPECT_EQ(send("POST", "/v1/embeddings", R"({"input":"refuse","model":"p/e"})").status, 400);
  EXPECT_EQ(post({{"model", "vectors"}, {"input", "hello"}}).status, 200) << "ours are beside it";
  EXPECT_EQ(send("POST", "/v1/embeddings", R"(["p/e"])").status, 400);
}

class NoEmbeddings : public TestServer {
 protected:
  void adjust(ApiOptions& options) override { options.embedders_off = "run this"; }
};

TEST_F(NoEmbeddings, SaysWhatToDo) {
  const auto response = send("POST", "/v1/embeddings", R"({"model":"vectors","input":"x"})");
  EXPECT_EQ(response.status, 404);
  EXPECT_NE(error_of(response).at("message").get<std::string>().find("run this"), std::string::npos);
}

}  // namespace
}  // namespace pmt::api
