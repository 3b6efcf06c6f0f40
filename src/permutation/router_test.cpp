#include <random>

#include <gtest/gtest.h>

#include "permutation/confidence.h"
#include "permutation/difficulty.h"
#include "permutation/domain.h"

namespace pmt::permutation {
namespace {

TEST(Domains, KeywordsDecide) {
  const Domains domains;
  EXPECT_EQ(domains.classify(words_of("Which river flows through the capital of France?")).name, "geography");
  EXPECT_EQ(domains.classify(words_of("Solve the equation and prove it.")).name, "mathematics");
  EXPECT_EQ(domains.classify(words_of("Hello there.")).name, "general");
  EXPECT_EQ(domains.classify({}).score, 0);
}

TEST(Domains, TheLastUserMessageAsks) {
  llm::Request request;
  request.messages = {
      {.role = "user", .content = "first", .name = {}, .tool_calls = {}, .tool_call_id = {}},
      {.role = "assistant", .content = "yes", .name = {}, .tool_calls = {}, .tool_call_id = {}},
      {.role = "user", .content = "second", .name = {}, .tool_calls = {}, .tool_call_id = {}}};
  EXPECT_EQ(question_of(request), "second");
}

double difficulty(const std::string& question) {
  return difficulty_of(words_of(question), question);
}

TEST(Difficulty, IsTheFormula) {
  // (0.2 + 4 / 20 / 2) / 2
  EXPECT_DOUBLE_EQ(difficulty("Who wrote it then?"), (0.2 + (4.0 / 20 + 0.1) / 2) / 2);
  EXPECT_LT(difficulty("Who wrote Hamlet?"),
            difficulty("Explain why the proof fails if n is not prime, and compare"));
  std::string longest;
  for (int i = 0; i < 100; ++i) longest += "why not compare, prove and then calculate? if ``` ";
  EXPECT_LE(difficulty(longest), 1.5);
}

TEST(Ability, BeginsAtThePriorAndFindsTheTruth) {
  const Ability prior = fit_ability({});
  EXPECT_NEAR(prior.slope, 1, 1e-6);
  EXPECT_NEAR(prior.theta, 0.85, 1e-6);
  EXPECT_NEAR(prior.probability(0.85), 0.5, 1e-6);

  const Ability truth{.slope = 3, .theta = 0.4};
  std::mt19937 random(5);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::deque<Outcome> outcomes;
  for (int i = 0; i < 3000; ++i) {
    const double b = 1.5 * uniform(random);
    outcomes.push_back({b, uniform(random) < truth.probability(b)});
  }
  const Ability found = fit_ability(outcomes);
  EXPECT_NEAR(found.slope, truth.slope, 0.5);
  EXPECT_NEAR(found.theta, truth.theta, 0.1);
}

TEST(Ability, TheLogRefitsOnceInAWhile) {
  AbilityLog log;
  for (int i = 0; i < 15; ++i) log.add({0.3, false});
  EXPECT_DOUBLE_EQ(log.ability().probability(0.3), Ability().probability(0.3));
  log.add({0.3, false});
  EXPECT_LT(log.ability().probability(0.3), Ability().probability(0.3));
}

TEST(Confidence, IsTheGeometricMean) {
  Confidence confidence;
  EXPECT_EQ(confidence.value(), 1);
  confidence.add({{.token = "a", .logprob = std::log(0.5F), .top = {}},
                  {.token = "b", .logprob = std::log(0.125F), .top = {}}});
  EXPECT_NEAR(confidence.value(), 0.25, 1e-6);
  confidence.add({{.token = "c", .logprob = -INFINITY, .top = {}}});
  EXPECT_GT(confidence.value(), 0);
  EXPECT_EQ(confidence.tokens(), 3);
}

TEST(Agreement, ComparesWords) {
  EXPECT_EQ(agreement("The Paris.", "paris"), 1);
  EXPECT_EQ(agreement("Paris", "Rome"), 0);
  EXPECT_DOUBLE_EQ(agreement("New York", "York"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(agreement("York", "New York"), 2.0 / 3);
  EXPECT_EQ(agreement("", ""), 1);
}

}  // namespace
}  // namespace pmt::permutation
