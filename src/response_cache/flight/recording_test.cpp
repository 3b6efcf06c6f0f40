#include "response_cache/flight/recording.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "llm/sinks.h"

namespace pmt::response_cache {
namespace {

llm::Delta text(int choice, std::string s) {
  return {.choice = choice, .text = std::move(s), .logprobs = {}};
}
llm::Delta with_logprob(std::string s) {
  llm::Delta delta = text(0, s);
  delta.logprobs.push_back({.token = s, .logprob = -0.5F, .top = {}});
  return delta;
}

std::vector<llm::Event> pass(const std::vector<llm::Event>& events) {
  Recorder recorder;
  for (const auto& event : events) recorder.add(event);
  llm::CollectingSink sink;
  replay(recorder.take(), cache_report(llm::CacheStatus::kHit, "abc"), sink);
  return sink.wait();
}

TEST(Recording, JoinsTheTextOfEachChoice) {
  std::vector<llm::Event> events{llm::Started{.model = "m", .created_unix_s = 3, .cache = {}}};
  std::string long_text;
  for (int i = 0; i < 500; ++i) {
    events.emplace_back(text(0, fmt::format("a{}", i)));
    events.emplace_back(text(1, fmt::format("b{}", i)));
    long_text += fmt::format("a{}", i);
  }
  events.emplace_back(llm::ChoiceEnd{.choice = 1, .reason = llm::FinishReason::kLength, .tool_calls = {}});
  events.emplace_back(llm::ChoiceEnd{});
  events.emplace_back(llm::Done{});
  const auto replayed = pass(events);
  ASSERT_EQ(replayed.size(), 6U);
  EXPECT_EQ(llm::text_of(replayed, 0), long_text);
  EXPECT_EQ(llm::text_of(replayed, 1), llm::text_of(events, 1));
  EXPECT_EQ(std::get<llm::Started>(replayed[0]).created_unix_s, 3);
  EXPECT_EQ(std::get<llm::ChoiceEnd>(replayed[3]).reason, llm::FinishReason::kLength);
}

TEST(Recording, KeepsPiecesWithLogprobsApart) {
  const auto replayed = pass({llm::Started{}, with_logprob("a"), with_logprob("b"), text(0, "c"),
                              text(0, "d"), with_logprob("e"), text(0, "f"), llm::ChoiceEnd{}, llm::Done{}});
  EXPECT_EQ(replayed.size(), 3U + 5U);
  EXPECT_EQ(llm::text_of(replayed), "abcdef");
  EXPECT_EQ(std::get<llm::Delta>(replayed[2]).logprobs.at(0).token, "b");
}

TEST(Recording, JoinsWhatAnUpstreamSaidBeyond) {
  const auto more = [](std::string members) {
    return llm::Delta{.choice = 0, .text = {}, .logprobs = {}, .more = std::move(members)};
  };
  llm::Delta said = text(0, "4");
  said.choice_more = R"("token_ids":[1])";
  llm::Delta scored = text(0, "!");
  scored.choice_more = R"("logprobs":{"content":[]})";
  llm::Delta piece = text(0, "");
  piece.calls = {{.index = 0, .id = "c", .name = "f", .arguments = "{}"}};
  llm::Delta thought = text(0, "");
  thought.reasoning = "hm";
  llm::Started started{.model = "m", .created_unix_s = 3, .cache = {}, .more = R"("p":"a")"};
  const auto replayed =
      pass({started, more(R"("reasoning_content":"I ")"), more(R"("reasoning_content":"think")"), thought,
            thought, said, said, scored, piece, llm::ChoiceEnd{}, llm::Done{}});
  ASSERT_EQ(replayed.size(), 7U);
  EXPECT_EQ(std::get<llm::Started>(replayed[0]).more, R"("p":"a")");
  EXPECT_EQ(std::get<llm::Delta>(replayed[1]).more, R"("reasoning_content":"I think")");
  EXPECT_EQ(std::get<llm::Delta>(replayed[2]).reasoning, "hmhm");
  EXPECT_EQ(std::get<llm::Delta>(replayed[3]).text, "44");
  EXPECT_EQ(std::get<llm::Delta>(replayed[3]).choice_more, R"("token_ids":[1,1])");
  EXPECT_EQ(std::get<llm::Delta>(replayed[4]).choice_more, R"("logprobs":{"content":[]})");
}

TEST(Recording, ReportsNothingThatDidNotHappenAgain) {
  llm::Done done;
  done.usage = {.prompt_tokens = 5, .completion_tokens = 6};
  done.report.kv = llm::KvReport{};
  done.report.timing = llm::Timing{};
  done.report.speculation = llm::SpeculationReport{};
  done.report.knowledge = llm::KnowledgeReport{.domains = {"acme"}, .slots_read = 1, .facts = {"acme/17"}};
  done.report.engine = {{"metadata", {{"citations", {"a"}}}}, {"trace", {{"steps", {1, 2}}}}};
  const auto replayed = pass({llm::Started{}, llm::ChoiceEnd{}, done});
  const auto& again = std::get<llm::Done>(replayed.back());
  EXPECT_EQ(again.usage.completion_tokens, 6);
  EXPECT_FALSE(again.report.kv || again.report.timing || again.report.speculation);
  EXPECT_EQ(again.report.knowledge->facts.at(0), "acme/17");
  EXPECT_EQ(again.report.engine, nlohmann::json::parse(R"({"metadata":{"citations":["a"]}})"));
  EXPECT_EQ(again.report.cache->status, llm::CacheStatus::kHit);
  EXPECT_EQ(std::get<llm::Started>(replayed.front()).cache->key, "abc");
}

}  // namespace
}  // namespace pmt::response_cache
