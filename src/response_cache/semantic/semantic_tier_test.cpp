#include "response_cache/semantic/semantic_tier.h"

#include <cmath>

#include <gtest/gtest.h>

#include "llm/sinks.h"
#include "response_cache/cached_completer.h"
#include "response_cache/scripted_completer.h"

namespace pmt::response_cache {
namespace {

using llm::CacheStatus;

/// A bag of words: each word has a random direction. Texts of the same words are the same, of many the same
/// near.
class WordsEmbedder final : public llm::Embedder {
 public:
  void embed_async(std::vector<llm::EmbedInput> inputs, base::CancelToken, Done done) override {
    if (before) before();
    if (fails) return done(base::Error{base::Code::kUnavailable, "no embeddings today"});
    llm::Embeddings out{.width = 384, .values = {}, .tokens = 1};
    for (const auto& input : inputs) {
      std::vector<float> row(384);
      for (const std::string& word : text::question_of(input.text).words) {
        std::mt19937 random(static_cast<unsigned>(std::hash<std::string>()(word)));
        std::normal_distribution<float> normal;
        for (float& x : row) x += normal(random);
      }
      float squares = 1e-9F;
      for (const float x : row) squares += x * x;
      for (const float x : row) out.values.push_back(x / std::sqrt(squares));
    }
    done(std::move(out));
  }
  bool fails = false;
  std::function<void()> before = {};
};

class SemanticTierTest : public testing::Test {
 protected:
  static llm::Request question(const std::string& text, const std::string& system = "Be brief.") {
    llm::Request request;
    request.messages.push_back(
        {.role = "system", .content = system, .name = {}, .tool_calls = {}, .tool_call_id = {}});
    request.messages.push_back(
        {.role = "user", .content = text, .name = {}, .tool_calls = {}, .tool_call_id = {}});
    request.sampling.temperature = 0;
    request.cache.semantic_error_max = 0.1;
    return request;
  }
  std::vector<llm::Event> complete(llm::Request request, const std::string& answer = "Lima") {
    const int before = model_.calls();
    const auto sink = std::make_shared<llm::CollectingSink>();
    cached_.start(std::move(request), sink, {});
    if (model_.calls() > before) model_.answer(before, {answer});
    return sink->wait();
  }
  static CacheStatus status(const std::vector<llm::Event>& events) {
    return done_of(events).report.cache->status;
  }
  static std::string why(const std::vector<llm::Event>& events) { return done_of(events).report.cache->why; }

  base::FakeClock clock_;
  base::UsageCounter usage_;
  ResponseCache cache_{{}, clock_};
  ScriptedCompleter model_;
  WordsEmbedder embedder_;
  double drawn_ = 0.5;
  SemanticTier tier_{
      embedder_, cache_, clock_, {.index = {}, .shadow = false, .random = [this] { return drawn_; }}};
  CachedCompleter cached_{
      model_,
      cache_,
      clock_,
      {.model = "scripted", .versions = {}, .price = {}, .usage = &usage_, .semantic = &tier_}};
};

constexpr char kAsked[] = "What is the capital city of Peru?";
constexpr char kReworded[] = "the capital city of Peru, what is it?";

TEST_F(SemanticTierTest, AnotherWordingIsServedAndSaysSo) {
  EXPECT_EQ(status(complete(question(kAsked))), CacheStatus::kMiss);
  const auto hit = complete(question(kReworded));
  ASSERT_EQ(status(hit), CacheStatus::kSemanticHit) << why(hit);
  EXPECT_EQ(llm::text_of(hit), "Lima");
  EXPECT_GT(done_of(hit).report.cache->similarity.value(), 0.8);
  EXPECT_GT(done_of(hit).report.cache->tokens_saved, 0);
  EXPECT_EQ(started_report(hit).status, CacheStatus::kSemanticHit);
  EXPECT_EQ(cache_.stats().semantic, 1U);
  EXPECT_EQ(cache_.stats().exact(), 0U);
  EXPECT_EQ(cache_.stats().hits, 1U);
  EXPECT_EQ(cache_.stats().misses, 1U);
  EXPECT_EQ(model_.calls(), 1);
}

TEST_F(SemanticTierTest, WhoHasTheAnswerFindsItInOtherWordsAtOnce) {
  struct AsksAgain final : llm::Sink {
    std::function<void()> again;
    void on_event(llm::Event&& event) override {
      if (std::holds_alternative<llm::Done>(event)) again();
    }
  };
  const auto sink = std::make_shared<AsksAgain>();
  std::vector<llm::Event> reworded;
  sink->again = [&] { reworded = complete(question(kReworded)); };
  cached_.start(question(kAsked), sink, {});
  model_.answer(0, {"Lima"});
  EXPECT_EQ(status(reworded), CacheStatus::kSemanticHit) << why(reworded);
}

TEST_F(SemanticTierTest, NotUnlessAsked) {
  complete(question(kAsked));
  llm::Request plain = question(kReworded);
  plain.cache.semantic_error_max.reset();
  EXPECT_EQ(status(complete(plain)), CacheStatus::kMiss);
}

TEST_F(SemanticTierTest, NumbersNegationAndNamesAreNotServed) {
  complete(question("Who won the cup of Peru in 1990?"));
  const auto number = complete(question("Who won the cup of Peru in 1991?"), "B");
  EXPECT_EQ(status(number), CacheStatus::kMiss);
  EXPECT_NE(why(number).find("differs in: numbers"), std::string::npos) << why(number);
  const auto negation = complete(question("Who never won the cup of Peru in 1990?"), "C");
  EXPECT_NE(why(negation).find("differs in: negation"), std::string::npos) << why(negation);
  const auto name = complete(question("Who won the cup of Chile in 1990?"), "D");
  EXPECT_NE(why(name).find("differs in: names"), std::string::npos) << why(name);
  EXPECT_EQ(cache_.stats().semantic, 0U);
}

TEST_F(SemanticTierTest, EverythingElseOfTheRequestMustBeTheSame) {
  complete(question(kAsked));
  EXPECT_EQ(status(complete(question(kReworded, "Answer in French."))), CacheStatus::kMiss);
  llm::Request earlier = question(kReworded);
  earlier.messages.insert(
      earlier.messages.begin() + 1,
      {.role = "assistant", .content = "Hi", .name = {}, .tool_calls = {}, .tool_call_id = {}});
  EXPECT_EQ(status(complete(earlier)), CacheStatus::kMiss);
  llm::Request space = question(kReworded);
  space.cache.name_space = "other";
  const auto missed = complete(space);
  EXPECT_NE(why(missed).find("no other question of this scope"), std::string::npos) << why(missed);
  llm::Request tenant = question(kReworded);
  tenant.tenant = "b";
  const auto of_b = complete(tenant);
  EXPECT_EQ(status(of_b), CacheStatus::kMiss);
  EXPECT_NE(why(of_b).find("no other question of this scope"), std::string::npos) << why(of_b);
  llm::Request longer = question(kReworded);
  longer.max_tokens = 7;
  EXPECT_EQ(status(complete(longer)), CacheStatus::kMiss);
}

TEST_F(SemanticTierTest, ThoughtsOfEarlierTurnsAreNotCompared) {
  const auto after = [](const std::string& text, const std::string& thought) {
    llm::Request request = question(text);
    llm::Message earlier{
        .role = "assistant", .content = "Hi", .name = {}, .tool_call_id = {}, .reasoning = thought};
    request.messages.insert(request.messages.begin() + 1, std::move(earlier));
    return request;
  };
  complete(after(kAsked, "one"));
  EXPECT_EQ(status(complete(after(kReworded, "two"))), CacheStatus::kSemanticHit);
}

TEST_F(SemanticTierTest, WhatLeftTheCacheLeavesTheIndex) {
  complete(question(kAsked));
  EXPECT_EQ(tier_.stats().entries, 1U);
  cache_.purge({});
  EXPECT_EQ(status(complete(question(kReworded))), CacheStatus::kMiss);
  EXPECT_EQ(tier_.stats().dropped, 1U);
  EXPECT_EQ(tier_.stats().entries, 1U) << "the new one";
}

TEST_F(SemanticTierTest, AnExpiredEntryDoesNotServe) {
  llm::Request brief = question(kAsked);
  brief.cache.ttl_s = 60;
  complete(brief);
  clock_.advance(std::chrono::seconds(61));
  EXPECT_EQ(status(complete(question(kReworded))), CacheStatus::kMiss);
}

TEST_F(SemanticTierTest, TooOldForThisRequestStaysForOthers) {
  complete(question(kAsked));
  clock_.advance(std::chrono::seconds(10));
  llm::Request fresh = question(kReworded);
  fresh.cache.max_age_s = 5;
  fresh.cache.mode = llm::CacheMode::kReadOnly;
  EXPECT_EQ(status(complete(fresh)), CacheStatus::kMiss);
  EXPECT_EQ(status(complete(question(kReworded))), CacheStatus::kSemanticHit);
}

TEST_F(SemanticTierTest, ShadowModeMeasuresAndServesNothing) {
  complete(question(kAsked));
  llm::Request shadow = question(kReworded);
  shadow.cache.semantic_shadow = true;
  const auto right = complete(shadow, "lima.");
  EXPECT_EQ(status(right), CacheStatus::kMiss);
  EXPECT_NE(why(right).find("shadow mode"), std::string::npos);
  EXPECT_EQ(tier_.stats().shadow_hits, 1U);
  EXPECT_EQ(tier_.stats().agreed, 1U);
  EXPECT_EQ(tier_.stats().shadow_wrong, 0U);
  shadow = question("What is it, the capital city of Peru?");
  shadow.cache.semantic_shadow = true;
  complete(shadow, "Cusco");
  EXPECT_EQ(tier_.stats().shadow_wrong, 1U);
  EXPECT_EQ(tier_.stats().disagreed, 1U);
}

TEST_F(SemanticTierTest, ExploringFindsThatTheAnswersDiffer) {
  complete(question(kAsked));
  drawn_ = 0;  // explore
  const auto explored = complete(question(kReworded), "Cusco");
  EXPECT_NE(why(explored).find("explored"), std::string::npos) << why(explored);
  EXPECT_EQ(tier_.stats().disagreed, 1U);
  EXPECT_EQ(tier_.stats().explored, 1U);
  EXPECT_EQ(cache_.stats().semantic, 0U);
}

TEST_F(SemanticTierTest, WhoSaysThatAnAnswerIsWrongStopsItAndMayTakeItBack) {
  complete(question(kAsked));
  ASSERT_EQ(status(complete(question(kReworded))), CacheStatus::kSemanticHit);
  const SemanticPair given = tier_.pairs().at(0);
  EXPECT_EQ(given.question, kReworded);
  EXPECT_EQ(given.nearest, kAsked);
  EXPECT_EQ(given.answer, "Lima");
  EXPECT_TRUE(given.could_serve);
  EXPECT_EQ(tier_.stats().compared, 0U) << "nobody knows whether it was right";

  EXPECT_EQ(tier_.judge({.id = given.id, .verdict = Verdict::kDifferent})->verdict, Verdict::kDifferent);
  EXPECT_EQ(tier_.stats().compared, 1U);
  EXPECT_EQ(tier_.stats().wrong, 1U);
  EXPECT_EQ(tier_.stats().judged_different, 1U);
  EXPECT_EQ(cache_.stats().flagged, 1U);
  llm::Request look = question(kReworded);
  look.cache.mode = llm::CacheMode::kReadOnly;
  const auto stopped = complete(look, "Cusco");
  EXPECT_EQ(status(stopped), CacheStatus::kMiss);
  EXPECT_NE(why(stopped).find("judged to have another answer"), std::string::npos) << why(stopped);
  EXPECT_EQ(status(complete(question(kAsked))), CacheStatus::kHit) << "its own question still has it";

  ASSERT_TRUE(tier_.judge({.id = given.id, .verdict = Verdict::kNone}));
  EXPECT_EQ(tier_.stats().compared, 0U);
  EXPECT_EQ(tier_.stats().wrong, 0U);
  EXPECT_EQ(tier_.stats().judged_different, 0U);
  EXPECT_EQ(status(complete(look, "Cusco")), CacheStatus::kSemanticHit);
  ASSERT_TRUE(tier_.judge({.id = given.id, .verdict = Verdict::kDifferent}));
  EXPECT_EQ(cache_.stats().flagged, 1U) << "one complaint";
  ASSERT_TRUE(tier_.judge({.id = given.id, .verdict = Verdict::kSame}));
  EXPECT_EQ(tier_.stats().compared, 1U);
  EXPECT_EQ(tier_.stats().wrong, 0U);
  EXPECT_EQ(tier_.stats().judged_same, 1U);
}

/// A person's word goes before a comparison's.
TEST_F(SemanticTierTest, AComparisonIsCorrectedByAPerson) {
  complete(question(kAsked));
  drawn_ = 0;  // explore
  complete(question(kReworded), "Cusco");
  const SemanticPair pair = tier_.pairs().at(0);
  EXPECT_EQ(pair.outcome, SemanticPair::Outcome::kDisagreed);
  EXPECT_EQ(pair.computed, "Cusco");
  EXPECT_EQ(tier_.stats().wrong, 1U);
  ASSERT_TRUE(tier_.judge({.id = pair.id, .verdict = Verdict::kSame}));
  EXPECT_EQ(tier_.stats().compared, 1U);
  EXPECT_EQ(tier_.stats().wrong, 0U);
  EXPECT_EQ(cache_.stats().flagged, 0U);
  EXPECT_EQ(tier_.judge({.id = pair.id, .verdict = Verdict::kSame, .tenant = "another"}).error().code,
            base::Code::kNotFound);
  EXPECT_EQ(tier_.judge({.id = 99, .verdict = Verdict::kSame}).error().code, base::Code::kNotFound);
}

/// An engine's answer was made of the one that was given: it would give it again.
TEST_F(SemanticTierTest, WhatWasMadeOfAWrongAnswerGoes) {
  complete(question(kAsked));
  complete(question(kReworded));
  const SemanticPair given = tier_.pairs().at(0);
  const Key whole = base::sha256("whole");
  RecordedAnswer made;
  made.events.emplace_back(llm::Done{});
  ASSERT_TRUE(cache_.store(whole, {made}, {.made_of = {given.candidate.key}}));
  ASSERT_TRUE(tier_.judge({.id = given.id, .verdict = Verdict::kDifferent}));
  EXPECT_EQ(cache_.get(whole), nullptr);
}

TEST_F(SemanticTierTest, WithoutEmbeddingsItIsAMissThatSaysSo) {
  embedder_.fails = true;
  const auto missed = complete(question(kAsked));
  EXPECT_EQ(status(missed), CacheStatus::kMiss);
  EXPECT_NE(why(missed).find("no embeddings today"), std::string::npos);
  EXPECT_EQ(tier_.stats().failed, 1U);
}

/// A hit is an answer that was given.
TEST_F(SemanticTierTest, WhoLeftBeforeItWasFoundHadNoHit) {
  complete(question(kAsked));
  const base::CancelToken cancel;
  embedder_.before = [&cancel] { cancel.cancel(); };
  const auto sink = std::make_shared<llm::CollectingSink>();
  cached_.start(question(kReworded), sink, cancel);
  EXPECT_EQ(failure_of(sink->wait()).code, base::Code::kCancelled);
  EXPECT_EQ(cache_.stats().semantic, 0U);
  EXPECT_EQ(cache_.stats().hits, 0U);
  EXPECT_EQ(cache_.stats().misses, 2U);
  EXPECT_EQ(usage_.count(base::Surface::kCompletions), 0U);
}

TEST_F(SemanticTierTest, OnlyIfCachedTakesASemanticHit) {
  complete(question(kAsked));
  llm::Request only = question(kReworded);
  only.cache.only_if_cached = true;
  EXPECT_EQ(status(complete(only)), CacheStatus::kSemanticHit);
  only = question("Who wrote it?");
  only.cache.only_if_cached = true;
  EXPECT_EQ(failure_of(complete(only)).code, base::Code::kUnprocessable);
}

}  // namespace
}  // namespace pmt::response_cache
