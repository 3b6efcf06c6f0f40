#include "pipeline/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "llm/sinks.h"
#include "pipeline/unified_request.h"

namespace pmt::pipeline {
namespace {

/// Answers at once and keeps what it was asked.
class Recording final : public llm::Completer {
 public:
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    last = std::move(request);
    ++calls;
    sink->on_event(llm::Started{.model = "inner", .created_unix_s = 1, .cache = {}});
    sink->on_event(llm::ChoiceEnd{});
    llm::Done done;
    done.report.engine = {{"metadata", 1}};
    sink->on_event(std::move(done));
  }
  llm::Request last;
  int calls = 0;
};

/// The other engine's own option, by which a context is given beside the messages.
struct GivenTexts {
  static constexpr std::string_view kName = "given";
  std::vector<std::string> texts;
  nlohmann::json key() const { return texts; }
  friend bool operator==(const GivenTexts&, const GivenTexts&) = default;
};

std::span<const std::string> given_context(const llm::Request& request) {
  return request.options.get<GivenTexts>().texts;
}

/// A word is a token.
class Words final : public llm::Tokenizer {
 public:
  std::int64_t count_tokens(const std::string& text) const override {
    return std::ranges::count(text, ' ') + 1;
  }
};

class PipelineTest : public testing::Test {
 protected:
  nlohmann::json ask(llm::Request request) {
    const auto sink = std::make_shared<llm::CollectingSink>();
    pipeline_.start(std::move(request), sink, {});
    const auto events = sink->wait();
    EXPECT_EQ(std::get<llm::Started>(events.front()).model, "unified");
    return std::get<llm::Done>(events.back()).report.engine;
  }
  static llm::Request of_words(int n) {
    llm::Request request;
    std::string text;
    for (int i = 1; i < n; ++i) text += "word ";
    request.messages.push_back(
        {.role = "user", .content = text + "end", .name = {}, .tool_calls = {}, .tool_call_id = {}});
    return request;
  }

  Recording permutation_, rlm_;
  Words words_;
  UnifiedPipeline pipeline_{
      {.permutation = permutation_, .rlm = rlm_, .tokenizer = words_, .given_context = given_context},
      {.rlm_context_threshold = 100}};
};

TEST_F(PipelineTest, TheThresholdDecides) {
  EXPECT_EQ(ask(of_words(3)).at("pipeline").at("route"), "permutation");
  EXPECT_EQ(ask(of_words(100)).at("pipeline").at("context_tokens"), 100);
  EXPECT_EQ(permutation_.calls, 2);
  EXPECT_EQ(ask(of_words(101)).at("pipeline").at("route"), "rlm");
  EXPECT_EQ(ask(of_words(5'000)).at("pipeline").at("route"), "rlm");
  EXPECT_EQ(rlm_.calls, 2);
  llm::Request given = of_words(2);
  given.options.set(GivenTexts{.texts = {"short"}});
  EXPECT_EQ(ask(given).at("pipeline").at("why"), "a context was given");
  llm::Request higher = of_words(101);
  higher.options.set(UnifiedRequest{.rlm_context_threshold = 200});
  EXPECT_EQ(ask(higher).at("pipeline").at("route"), "permutation");
  EXPECT_EQ(ask(higher).at("metadata"), 1) << "the engine's own report stays";
}

TEST_F(PipelineTest, EachFlagTurnsItsCacheOff) {
  llm::Request on = of_words(3);
  on.knowledge = {"acme"};
  ask(on);
  EXPECT_EQ(permutation_.last.surface, base::Surface::kUnified);
  EXPECT_EQ(permutation_.last.cache.mode, llm::CacheMode::kOn);
  EXPECT_EQ(permutation_.last.kv.ratio, 8);
  EXPECT_EQ(permutation_.last.knowledge, std::vector<std::string>{"acme"});
  llm::Request off = of_words(3);
  off.knowledge = {"other"};
  off.options.set(UnifiedRequest{.basic_kv = false, .continual_kv = false, .inference_kv = false});
  const auto about = ask(off).at("pipeline");
  EXPECT_EQ(permutation_.last.cache.mode, llm::CacheMode::kOff);
  EXPECT_EQ(permutation_.last.kv.ratio, 1);
  EXPECT_TRUE(permutation_.last.knowledge.empty());
  EXPECT_EQ(about.at("enable_inference_kv"), false);
  llm::Request ratio = of_words(3);
  ratio.options.set(UnifiedRequest{.ratio = 64});
  ask(ratio);
  EXPECT_EQ(permutation_.last.kv.ratio, 64);
}

}  // namespace
}  // namespace pmt::pipeline
