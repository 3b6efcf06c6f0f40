// What is done where wording doesn't tell whether a fact answers. The rest of what is recalled is tested with the real
// embedder, in engine/ and tests/e2e.
#include "knowledge_cache/recalling_completer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knowledge_cache/fact_request.h"
#include "knowledge_cache/test_embed.h"
#include "knowledge_cache/test_library.h"
#include "llm/sinks.h"

namespace pmt::knowledge_cache {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Judges that the sentences with `yes` in them answer, and says what was recalled, or that nothing was.
class Judging final : public llm::Completer {
 public:
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    sink->on_event(llm::Started{});
    if (request.engine_call) {
      judged.push_back(request.messages.back().content);
      const bool holds = !yes.empty() && judged.back().find(yes) != std::string::npos;
      llm::TokenLogprob token{.token = "x", .logprob = 0.0F, .top = {}};
      token.top = {{holds ? "yes" : "no", -0.01F}, {holds ? "no" : "yes", -4.6F}};
      sink->on_event(llm::Delta{.choice = 0, .text = "x", .logprobs = {token}});
    } else {
      const std::string answer = request.recall ? request.recall->answer : "the model's own";
      sink->on_event(llm::Delta{.choice = 0, .text = answer, .logprobs = {}});
    }
    sink->on_event(llm::ChoiceEnd{.choice = 0, .reason = llm::FinishReason::kStop});
    sink->on_event(llm::Done{});
  }
  std::string yes;
  std::vector<std::string> judged;
};

class UnsureFacts : public LibraryFixture {
 protected:
  UnsureFacts() {
    LibraryOptions options = library_options();
    options.embed = test_embed(embedded_);
    options.embedder = "words";
    library_ = open(std::move(options));
    const EmbedLater embed = [this](std::vector<std::string> texts, const base::CancelToken&,
                                    const std::function<void(base::Result<std::vector<float>>)>& done) {
      done(test_embed(embedded_)(texts));
    };
    recalling_ = std::make_unique<RecallingCompleter>(
        model_, *library_, clock_, RecallingCompleter::Options{.embed = embed, .judges = true});
    const auto report = library_->learn(
        "acme",
        parse_facts(
            "{\"id\": \"hours\", \"prompt\": \"What is the opening time of Zorvane Bakery?\", \"answer\": \"7:30\"}\n"
            "{\"id\": \"owner\", \"prompt\": \"What is the owner of Zorvane Bakery?\", \"answer\": \"Ada Holt\"}\n",
            {}),
        "test", {});
    EXPECT_TRUE(report && report->learnt == 2);
  }

  struct Said {
    std::string text;
    llm::KnowledgeReport knowledge;
  };
  Said ask(const std::string& text, UnsureUse use = UnsureUse::kAuto,
           llm::Endpoint endpoint = llm::Endpoint::kChat) {
    llm::Request request;
    request.endpoint = endpoint;
    request.prompt = text;
    request.messages.push_back(
        {.role = "user", .content = text, .name = {}, .tool_calls = {}, .tool_call_id = {}});
    request.knowledge = {"acme"};
    request.options.set(FactRequest{.unsure = use});
    const auto sink = std::make_shared<llm::CollectingSink>();
    recalling_->start(std::move(request), sink, {});
    const auto events = sink->wait();
    return {llm::text_of(events), std::get<llm::Done>(events.back()).report.knowledge.value()};
  }

  std::size_t embedded_ = 0;
  std::unique_ptr<Library> library_;
  Judging model_;
  std::unique_ptr<RecallingCompleter> recalling_;
};

constexpr char kFar[] = "From when may I come and buy bread at Zorvane Bakery?";

TEST_F(UnsureFacts, AreRecalledWhereTheModelSaysTheyAnswer) {
  model_.yes = "7:30";
  const Said said = ask(kFar);
  EXPECT_EQ(said.text, "7:30");
  EXPECT_THAT(said.knowledge.facts, ElementsAre("acme/hours"));
  EXPECT_EQ(said.knowledge.judged, static_cast<std::int64_t>(model_.judged.size()));
  ASSERT_FALSE(model_.judged.empty());
  for (const std::string& one : model_.judged)
    EXPECT_NE(one.find(fmt::format("Question: {}", kFar)), std::string::npos)
        << "the thing by its name: " << one;
  EXPECT_EQ(recalling_->stats().judged, model_.judged.size());
  EXPECT_EQ(recalling_->stats().fired, 1U);
}

TEST_F(UnsureFacts, AreLeftWhereItSaysThatNoneDoes) {
  const Said said = ask(kFar);
  EXPECT_EQ(said.text, "the model's own");
  EXPECT_THAT(said.knowledge.facts, IsEmpty());
  EXPECT_GT(said.knowledge.judged, 0);
}

TEST_F(UnsureFacts, AreNotAskedAboutWhereARequestSaysSo) {
  model_.yes = "7:30";
  EXPECT_EQ(ask(kFar, UnsureUse::kLeave).text, "the model's own");
  EXPECT_EQ(ask(kFar, UnsureUse::kAuto, llm::Endpoint::kCompletions).text, "the model's own")
      << "a text to go on with asks nothing";
  EXPECT_THAT(model_.judged, IsEmpty());
}

TEST_F(UnsureFacts, NothingIsAskedWhereWordingDecidesOrNothingIsNamed) {
  model_.yes = "7:30";
  EXPECT_EQ(ask("What is the owner of Zorvane Bakery?").text, "Ada Holt");
  EXPECT_EQ(ask("From when may I come and buy bread at Kelmari Bakery?").text, "the model's own");
  EXPECT_EQ(ask("Who is Zorvane Bakery, and who is Zorvane Bakery's neighbour?", UnsureUse::kLeave)
                .knowledge.judged,
            0);
  EXPECT_THAT(model_.judged, IsEmpty());
}

}  // namespace
}  // namespace pmt::knowledge_cache
