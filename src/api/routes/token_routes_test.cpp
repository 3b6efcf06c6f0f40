#include "api/routes/token_routes.h"

#include <gmock/gmock.h>

#include "api/test_server.h"
#include "api/test_vocabulary.h"

namespace pmt::api {
namespace {

using nlohmann::json;

class TokenRoutes : public TestServer {
 protected:
  void adjust(ApiOptions& options) override { options.models["tiny"].vocabulary = &bytes; }
  json ask(const char* path, const json& body, int status = 200) const {
    const auto response = send("POST", path, body.dump());
    EXPECT_EQ(response.status, status) << response.body;
    return json::parse(response.body);
  }
  std::string wrong(const char* path, const json& body) const {
    return ask(path, body, 400).at("error").at("param");
  }
  ByteVocabulary bytes;
};

TEST_F(TokenRoutes, AsLlamaCppsClientsAsk) {
  EXPECT_EQ(ask("/tokenize", {{"content", "a<s>"}}).at("tokens"), json({97, 256}))
      << "nothing added, names parsed";
  EXPECT_EQ(ask("/tokenize", {{"content", "a<s>"}, {"parse_special", false}}).at("tokens").size(), 4U);
  EXPECT_EQ(ask("/tokenize", {{"content", "a"}, {"add_special", true}}).at("tokens"), json({256, 97}));
  EXPECT_EQ(ask("/tokenize", {{"content", ""}}).at("tokens"), json::array());
  const json pieces = ask("/tokenize", {{"content", "a\u00e9"}, {"with_pieces", true}}).at("tokens");
  EXPECT_EQ(pieces[0], json({{"id", 97}, {"piece", "a"}}));
  EXPECT_EQ(pieces[1], json({{"id", 195}, {"piece", {195}}})) << "half a character";
  EXPECT_EQ(ask("/detokenize", {{"tokens", {104, 105, 256}}}).at("content"), "hi<s>");
  EXPECT_EQ(ask("/detokenize", {{"tokens", json::array()}}).at("content"), "");
}

TEST_F(TokenRoutes, AsVllmsClientsAsk) {
  const json text = ask("/tokenize", {{"model", "tiny"}, {"prompt", "ab"}, {"return_token_strs", true}});
  EXPECT_EQ(text.at("tokens"), json({256, 97, 98}));
  EXPECT_EQ(text.at("count"), 3);
  EXPECT_EQ(text.at("max_model_len"), 64);
  EXPECT_EQ(text.at("token_strs"), json({"<s>", "a", "b"}));
  EXPECT_EQ(
      ask("/v1/tokenize", {{"model", "tiny"}, {"prompt", "ab"}, {"add_special_tokens", false}}).at("count"),
      2);
  const json chat = {{"model", "tiny"}, {"messages", {{{"role", "user"}, {"content", "hi"}}}}};
  EXPECT_EQ(ask("/tokenize", chat).at("count"), 8);
  EXPECT_EQ(ask("/v1/detokenize", {{"model", "tiny"}, {"tokens", {104, 105}}}).at("prompt"), "hi");
}

TEST_F(TokenRoutes, ATextHasNoEndOfAChat) {
  for (const bool value : {false, true}) {
    EXPECT_EQ(ask("/tokenize", {{"content", "a"}, {"add_generation_prompt", value}}).at("tokens"),
              json({97}));
    EXPECT_EQ(ask("/tokenize", {{"prompt", "a"}, {"continue_final_message", value}}).at("count"), 2);
  }
  EXPECT_EQ(wrong("/tokenize", {{"content", "a"}, {"add_generation_prompt", "no"}}), "add_generation_prompt");
}

TEST_F(TokenRoutes, ATokenizerTellsOfItself) {
  const auto answer = send("GET", "/tokenizer_info");
  EXPECT_EQ(json::parse(answer.body), json({{"tokenizer_class", "PreTrainedTokenizerFast"},
                                            {"bos_token", "<s>"},
                                            {"eos_token", nullptr},
                                            {"pad_token", nullptr},
                                            {"add_bos_token", true},
                                            {"model_max_length", 64},
                                            {"chat_template", "{{ messages }}"}}));
  EXPECT_EQ(send("GET", "/v1/tokenizer_info?model=tiny").body, answer.body);
  EXPECT_EQ(error_of(send("GET", "/tokenizer_info?model=bare")).at("param"), "model");
  EXPECT_EQ(send("GET", "/tokenizer_info?model=none").status, 404);
  EXPECT_EQ(send("POST", "/tokenizer_info").status, 405);
}

TEST_F(TokenRoutes, AfterTheStopNobodyReadsAVocabulary) {
  api->stop();
  EXPECT_EQ(send("POST", "/tokenize", R"({"content": "a"})").status, 503);
  EXPECT_EQ(send("POST", "/detokenize", R"({"tokens": [97]})").status, 503);
}

TEST_F(TokenRoutes, SaysWhatIsWrong) {
  EXPECT_EQ(wrong("/tokenize", json::object()), "prompt");
  EXPECT_EQ(wrong("/tokenize", {{"content", "a"}, {"prompt", "b"}}), "prompt");
  EXPECT_EQ(wrong("/tokenize", {{"content", 5}}), "content");
  EXPECT_EQ(wrong("/tokenize", {{"model", "bare"}, {"prompt", "a"}}), "model");
  EXPECT_EQ(wrong("/tokenize", {{"model", "tiny"}, {"messages", 5}}), "messages");
  EXPECT_EQ(wrong("/tokenize", {{"model", "tiny"},
                                {"messages", {{{"role", "user"}, {"content", "a"}}}},
                                {"add_generation_prompt", false}}),
            "add_generation_prompt");
  EXPECT_EQ(wrong("/tokenize", {{"model", "tiny"},
                                {"messages", {{{"role", "user"}, {"content", "a"}}}},
                                {"continue_final_message", true}}),
            "continue_final_message");
  EXPECT_EQ(wrong("/detokenize", json::object()), "tokens");
  EXPECT_EQ(wrong("/detokenize", {{"tokens", {1, 257}}}), "tokens[1]");
  EXPECT_EQ(wrong("/detokenize", {{"tokens", {-1}}}), "tokens[0]");
  EXPECT_EQ(ask("/tokenize", {{"model", "none"}, {"prompt", "a"}}, 404).at("error").at("param"), "model");
  EXPECT_EQ(send("GET", "/tokenize").status, 405);
}

}  // namespace
}  // namespace pmt::api
