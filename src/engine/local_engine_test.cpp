#include "engine/local_engine.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "knowledge_cache/packs/fact.h"
#include "llm/sinks.h"

namespace pmt::engine {
namespace {

namespace fs = std::filesystem;

/// With the real model; facts are recalled word for word, so no embedder is needed.
class LocalEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("PERMUTATION_MODEL");
    if (path == nullptr || !fs::exists(path))
      GTEST_SKIP() << "PERMUTATION_MODEL names no file; ./dev test fetches the model";
    path_ = path;
    fs::remove_all(folder_);
  }
  ~LocalEngineTest() override { fs::remove_all(folder_); }

  std::unique_ptr<LocalEngine> open(bool with_knowledge) {
    LocalEngineOptions options;
    for (const char* name : {"first", "second"}) {
      options.models.push_back({.name = name, .path = path_, .threads = 1});
      options.models.back().on_warning = [](const std::string&) {};
    }
    if (with_knowledge) options.knowledge = KnowledgeOptions{.root = folder_.string()};
    options.on_opened = [this](const TaughtModel& taught, double) { opened_.push_back(taught.name); };
    auto engine = LocalEngine::open(std::move(options), clock_);
    EXPECT_TRUE(engine) << engine.error().message;
    return engine ? std::move(*engine) : nullptr;
  }

  static std::string said(llm::Completer& completer, const std::vector<std::string>& domains) {
    llm::Request request;
    request.id = "test";
    request.sampling.temperature = 0;
    request.max_tokens = 8;
    request.knowledge = domains;
    request.messages.push_back({.role = "user",
                                .content = "What is the support line of Zorvane Labs?",
                                .name = {},
                                .tool_calls = {},
                                .tool_call_id = {}});
    const auto sink = std::make_shared<llm::CollectingSink>();
    completer.start(std::move(request), sink, {});
    return llm::text_of(sink->wait());
  }

  base::SystemClock clock_;
  std::string path_;
  const fs::path folder_ = fs::temp_directory_path() / fmt::format("pmt-local-engine-{}", getpid());
  std::vector<std::string> opened_;
};

TEST_F(LocalEngineTest, AModelAnswersByWhatItWasTaughtAndNoOtherDoes) {
  const auto engine = open(true);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(opened_, (std::vector<std::string>{"first", "second"}));
  EXPECT_EQ(engine->embedder(), nullptr);
  EXPECT_EQ(engine->find("third"), nullptr);
  const TaughtModel& first = *engine->find("first");
  const auto facts = knowledge_cache::parse_facts(
      R"({"prompt": "What is the support line of Zorvane Labs?", "answer": "4417"})", {});
  ASSERT_TRUE(first.library->learn("acme", facts, "test", {}));
  EXPECT_EQ(said(first.completer(), {"acme"}).substr(0, 4), "4417");
  EXPECT_EQ(said(first.completer(), {}), said(*first.model, {}));
  EXPECT_TRUE(engine->find("second")->library->list().empty());
}

TEST_F(LocalEngineTest, WithoutKnowledgeAModelIsAskedAsItIs) {
  const auto engine = open(false);
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(&engine->models()[0].completer(), engine->models()[0].model.get());
  EXPECT_EQ(engine->models()[0].library, nullptr);
}

TEST_F(LocalEngineTest, WhatHoldsALibraryMayKeepItWhenTheModelsAreClosed) {
  const auto engine = open(true);
  ASSERT_NE(engine, nullptr);
  knowledge_cache::Library* const library = engine->models()[0].library.get();
  engine->stop_embedding();
  engine->close_models();
  engine->close_models();
  EXPECT_TRUE(engine->models().empty());
  EXPECT_TRUE(library->list().empty());
}

TEST_F(LocalEngineTest, AModelThatCantBeLoadedLeavesNothing) {
  LocalEngineOptions options;
  options.models.push_back({.name = "first", .path = path_, .threads = 1});
  options.models.push_back({.name = "absent", .path = path_ + ".absent"});
  const auto engine = LocalEngine::open(std::move(options), clock_);
  ASSERT_FALSE(engine);
  EXPECT_NE(engine.error().message.find(".absent"), std::string::npos) << engine.error().message;
}

}  // namespace
}  // namespace pmt::engine
