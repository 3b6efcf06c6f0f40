#include "api/completions/prompt_list.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/test_server.h"
#include "llm/sinks.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using response_cache::ScriptedCompleter;
using ::testing::ElementsAre;

std::vector<Prompt> prompts(std::size_t count) {
  std::vector<Prompt> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back({.text = "p" + std::to_string(i)});
  return out;
}

TEST(PromptList, ChoicesComeInThePromptsOrder) {
  ScriptedCompleter model;
  const auto sink = std::make_shared<llm::CollectingSink>();
  llm::Request two;
  two.n = 2;
  complete_each(model, std::move(two), {{.text = "a"}, {.tokens = {1, 2}}}, sink, {});
  ASSERT_EQ(model.calls(), 2);
  EXPECT_EQ(model.call(0).request.prompt, "a");
  EXPECT_EQ(model.call(1).request.prompt, "");
  EXPECT_THAT(model.call(1).request.prompt_tokens, ElementsAre(1, 2));
  model.begin(1);
  model.say(1, "second", 1);
  model.begin(0);
  model.say(0, "first", 1);
  model.finish(1, 3);
  EXPECT_FALSE(llm::is_terminal(sink->so_far().back()));
  model.finish(0, 5);
  const auto events = sink->wait();
  int started = 0;
  std::vector<int> choices;
  for (const llm::Event& event : events) {
    started += std::holds_alternative<llm::Started>(event) ? 1 : 0;
    if (const auto* delta = std::get_if<llm::Delta>(&event)) choices.push_back(delta->choice);
  }
  EXPECT_EQ(started, 1);
  EXPECT_THAT(choices, ElementsAre(3, 1));
  const llm::Done& done = std::get<llm::Done>(events.back());
  EXPECT_EQ(done.usage.prompt_tokens, 20);
  EXPECT_EQ(done.usage.completion_tokens, 8);
  EXPECT_EQ(done.report.speculation->drafted, 8);
  EXPECT_EQ(done.report.timing->decode_ms, 3) << "side by side";
  EXPECT_EQ(done.report.engine.at("prompts").size(), 2U);
}

TEST(PromptList, SomeAreUnderWayAndTheOthersFollow) {
  ScriptedCompleter model;
  const auto sink = std::make_shared<llm::CollectingSink>();
  complete_each(model, {}, prompts(kPromptsAtOnce + 10), sink, {});
  EXPECT_EQ(model.calls(), static_cast<int>(kPromptsAtOnce));
  for (int i = 0; i < static_cast<int>(kPromptsAtOnce) + 10; ++i) {
    model.answer(i, {"x"});
    EXPECT_EQ(model.call(i).request.prompt, "p" + std::to_string(i));
  }
  EXPECT_TRUE(std::holds_alternative<llm::Done>(sink->wait().back()));
}

TEST(PromptList, TheFirstFailureEndsAll) {
  ScriptedCompleter model;
  const auto sink = std::make_shared<llm::CollectingSink>();
  const base::CancelToken cancel;
  complete_each(model, {}, prompts(kPromptsAtOnce + 5), sink, cancel);
  model.begin(3);
  model.fail(2, base::Code::kTooLarge, "it is too long");
  EXPECT_TRUE(cancel.cancelled());
  const auto events = sink->wait();
  const base::Error& error = std::get<llm::Failed>(events.back()).error;
  EXPECT_EQ(error.message, "prompt[2]: it is too long");
  for (int i = 0; i < static_cast<int>(kPromptsAtOnce); ++i) {
    if (i != 2) model.fail(i, base::Code::kCancelled, "the caller left");
  }
  EXPECT_EQ(model.calls(), static_cast<int>(kPromptsAtOnce)) << "none was begun any more";
  EXPECT_EQ(sink->so_far().size(), events.size()) << "nothing follows the failure";
}

/// Answers inside start, as a cache does.
class AtOnce final : public llm::Completer {
 public:
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    deepest = std::max(deepest, ++depth);
    sink->on_event(llm::Started{.model = "at-once", .created_unix_s = 1, .cache = {}});
    sink->on_event(llm::Delta{.choice = 0, .text = request.prompt, .logprobs = {}});
    sink->on_event(llm::ChoiceEnd{});
    sink->on_event(llm::Done{.usage = {.prompt_tokens = 1, .completion_tokens = 1}, .report = {}});
    --depth;
  }
  int depth = 0, deepest = 0;
};

TEST(PromptList, HitsDontNest) {
  AtOnce model;
  const auto sink = std::make_shared<llm::CollectingSink>();
  complete_each(model, {}, prompts(2000), sink, {});
  EXPECT_EQ(model.deepest, 1);
  EXPECT_EQ(std::get<llm::Done>(sink->wait().back()).usage.completion_tokens, 2000);
}

TEST(PromptList, AnswersFromManyThreadsAreOneStream) {
  ScriptedCompleter model;
  const auto sink = std::make_shared<llm::CollectingSink>();
  complete_each(model, {}, prompts(kPromptsAtOnce), sink, {});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&model, t] {
      for (int i = t; i < static_cast<int>(kPromptsAtOnce); i += 4) model.answer(i, {"a", "b"});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto events = sink->wait();
  EXPECT_EQ(events.size(), 1 + kPromptsAtOnce * 3 + 1);
  EXPECT_EQ(std::get<llm::Done>(events.back()).usage.completion_tokens, 2 * static_cast<int>(kPromptsAtOnce));
}

TEST(PromptList, ACacheStatusHoldsForEach) {
  const auto part = [](llm::CacheStatus status) {
    llm::Done done;
    done.report.cache.emplace();
    done.report.cache->status = status;
    done.report.cache->key = "k";
    done.report.cache->tokens_saved = 3;
    return done;
  };
  using llm::CacheStatus;
  const auto both = merged({part(CacheStatus::kHit), part(CacheStatus::kHit)}).report.cache;
  EXPECT_EQ(both->status, CacheStatus::kHit);
  EXPECT_EQ(both->tokens_saved, 6);
  EXPECT_EQ(both->key, "");
  EXPECT_EQ(merged({part(CacheStatus::kHit), part(CacheStatus::kMiss)}).report.cache->status,
            CacheStatus::kMiss);
}

class PromptListRoute : public TestServer {};

TEST_F(PromptListRoute, AListIsOneAnswerAndEachPromptIsCached) {
  const std::string body = R"({"model": "tiny", "prompt": ["a", "b"], "temperature": 0})";
  const auto play = [this] {
    model.answer(1, {"B"});
    model.answer(0, {"A", "A"});
  };
  const auto first = send_while("/v1/completions", body, play);
  ASSERT_EQ(first.status, 200) << first.body;
  const json answer = json::parse(first.body);
  ASSERT_EQ(answer.at("choices").size(), 2U);
  EXPECT_EQ(answer.at("choices")[0].at("text"), "AA");
  EXPECT_EQ(answer.at("choices")[1].at("index"), 1);
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 3);
  EXPECT_EQ(send("POST", "/v1/completions", body).header("x-permutation-cache"), "hit");
  const auto one = send("POST", "/v1/completions", R"({"model": "tiny", "prompt": "b", "temperature": 0})");
  EXPECT_EQ(one.header("x-permutation-cache"), "hit");
  EXPECT_EQ(json::parse(one.body).at("choices")[0].at("text"), "B");
  EXPECT_EQ(model.calls(), 2);
}

}  // namespace
}  // namespace pmt::api
