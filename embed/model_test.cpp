// permutation.h with a model: answers, streams, what is taught, and what it costs beside the waist.
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "embed/test_library.h"

namespace pmt::embed {
namespace {

using nlohmann::json;

class EmbeddedModel : public testing::Test {
 protected:
  void SetUp() override {
    const char* const file = std::getenv("PERMUTATION_MODEL");
    if (file == nullptr || *file == '\0') GTEST_SKIP() << "PERMUTATION_MODEL names no model";
    folder = testing::TempDir() + "embed-knowledge-" + std::to_string(getpid());
    config = "[embeddings]\nenabled = false\n[knowledge]\npath = \"" + folder +
             "\"\n[[model]]\nname = \"small\"\npath = \"" + file + "\"\n";
    ASSERT_EQ(permutation_engine_open(config.data(), config.size(), &engine, &error), PERMUTATION_OK)
        << error.message;
  }
  void TearDown() override { permutation_engine_close(engine); }
  static std::string request(const std::string& question, bool stream, int tokens = 12) {
    return json{{"model", "small"},
                {"temperature", 0},
                {"stream", stream},
                {"max_tokens", tokens},
                {"messages", {{{"role", "user"}, {"content", question}}}}}
        .dump();
  }
  std::string ask(permutation_engine* whom, const std::string& body) {
    Text answer;
    EXPECT_EQ(permutation_complete(whom, body.data(), body.size(), &answer.text, &error), PERMUTATION_OK)
        << error.message;
    return answer.view().empty() ? "" : json::parse(answer.view())["choices"][0]["message"]["content"];
  }

  std::string folder, config;
  permutation_engine* engine = nullptr;
  permutation_error error{};
};

TEST_F(EmbeddedModel, AnswersWholeAndInPiecesAlike) {
  const std::string whole = ask(engine, request("What is the capital of Peru?", false));
  EXPECT_NE(whole.find("Lima"), std::string::npos) << whole;
  std::string pieces;
  const std::string body = request("What is the capital of Peru?", true);
  const auto on_event = [](void* user, const char* event, std::size_t) {
    const json chunk = json::parse(event);
    if (!chunk["choices"].empty())
      *static_cast<std::string*>(user) += chunk["choices"][0]["delta"].value("content", "");
    return 0;
  };
  ASSERT_EQ(permutation_stream(engine, nullptr, body.data(), body.size(), on_event, &pieces, &error),
            PERMUTATION_OK)
      << error.message;
  EXPECT_EQ(pieces, whole);
}

TEST_F(EmbeddedModel, StopsWhenItsCallerHasEnough) {
  int events = 0;
  const std::string body = request("Count from 1 to 1000.", true, 2000);
  const auto on_event = [](void* user, const char*, std::size_t) {
    return ++*static_cast<int*>(user) == 3 ? 1 : 0;
  };
  EXPECT_EQ(permutation_stream(engine, nullptr, body.data(), body.size(), on_event, &events, &error),
            PERMUTATION_CANCELLED);
  EXPECT_EQ(events, 3);
}

TEST_F(EmbeddedModel, LearnsListsAndForgets) {
  const std::string facts =
      R"({"facts": [{"prompt": "Which number do I dial for support at Zorvane Labs?", "answer": "4417"}]})";
  Text report;
  ASSERT_EQ(permutation_learn(engine, "acme", facts.data(), facts.size(), report.out(), &error),
            PERMUTATION_OK)
      << error.message;
  EXPECT_NE(report.view().find("\"learnt\":1"), std::string_view::npos) << report.view();
  json taught = json::parse(request("Which number do I dial for support at Zorvane Labs?", false));
  taught["permutation"] = {{"knowledge", {"acme"}}};
  EXPECT_NE(ask(engine, taught.dump()).find("4417"), std::string::npos);
  ASSERT_EQ(permutation_knowledge(engine, "acme", report.out(), &error), PERMUTATION_OK);
  const std::string fact_id = json::parse(report.view())["facts"][0]["id"];
  EXPECT_EQ(permutation_forget(engine, "acme", fact_id.c_str(), &error), PERMUTATION_OK);
  EXPECT_EQ(permutation_forget(engine, "acme", nullptr, &error), PERMUTATION_OK);
  EXPECT_EQ(permutation_forget(engine, "acme", nullptr, &error), PERMUTATION_NOT_FOUND);
  EXPECT_EQ(permutation_learn(engine, "acme", "{\"facts\": [", 11, nullptr, &error), PERMUTATION_INVALID);
}

TEST_F(EmbeddedModel, TwoOfThemAnswerSideBySideAndEndInAnyOrder) {
  permutation_engine* other = nullptr;
  ASSERT_EQ(permutation_engine_open(config.data(), config.size(), &other, &error), PERMUTATION_OK);
  const std::string body = request("What is the capital of France?", false);
  EXPECT_EQ(ask(engine, body), ask(other, body));
  ASSERT_EQ(permutation_engine_close(engine), PERMUTATION_OK);
  EXPECT_FALSE(ask(other, request("What is the capital of Italy?", false)).empty());
  EXPECT_EQ(permutation_engine_close(other), PERMUTATION_OK);
}

}  // namespace
}  // namespace pmt::embed
