#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace pmt::model {
namespace {

constexpr int kVocab = 50;

std::vector<float> some_logits(unsigned seed, int vocab = kVocab) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> logits(static_cast<std::size_t>(vocab));
  for (float& logit : logits) logit = normal(random);
  return logits;
}

Sampler make(SamplerParams params, int vocab = kVocab) {
  auto sampler = Sampler::create(std::move(params), vocab);
  EXPECT_TRUE(sampler) << sampler.error().message;
  return std::move(*sampler);
}

/// The probabilities that the parameters ask for, by definition: temperature, then top_k, top_p, min_p.
std::vector<double> expected(const std::vector<float>& logits, const SamplerParams& params) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  if (params.top_k > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(params.top_k)));
  std::vector<double> p(logits.size(), 0);
  double sum = 0;
  for (const auto i : order) sum += p[i] = std::exp((logits[i] - logits[order[0]]) / params.temperature);
  double before = 0;
  const double largest = p[order[0]];
  for (const auto i : order) {
    const bool out_of_nucleus = before / sum >= params.top_p && i != order[0];
    before += p[i];
    if (out_of_nucleus || p[i] < params.min_p * largest) p[i] = 0;
  }
  const double kept = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= kept;
  return p;
}

/// Draws many and compares with `expected`: chi-square over the tokens that can be drawn.
void expect_distribution(const SamplerParams& params) {
  const auto logits = some_logits(10);
  const auto p = expected(logits, params);
  Sampler sampler = make(params);
  constexpr int kDraws = 40000;
  std::vector<int> seen(logits.size());
  for (int i = 0; i < kDraws; ++i) ++seen[static_cast<std::size_t>(sampler.sample(logits))];
  double chi_square = 0;
  int cells = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      EXPECT_EQ(seen[i], 0) << "token " << i << " should be cut off";
    }
    const double mean = p[i] * kDraws;
    if (mean < 5) continue;
    chi_square += (seen[i] - mean) * (seen[i] - mean) / mean;
    ++cells;
  }
  // Mean cells - 1, variance about 2 cells: five standard deviations, and the seeds are fixed.
  EXPECT_LT(chi_square, cells + 5 * std::sqrt(2.0 * cells));
  EXPECT_GE(cells, 2);
}

TEST(SamplerTest, DrawsFromTheSoftmax) {
  expect_distribution({.temperature = 1, .seed = 1});
}
TEST(SamplerTest, DrawsWithTemperature) {
  expect_distribution({.temperature = 1.7F, .seed = 2});
}
TEST(SamplerTest, TemperatureComesBeforeTopP) {
  expect_distribution({.temperature = 2, .top_p = 0.7F, .seed = 3});
}
TEST(SamplerTest, DrawsFromTopK) {
  expect_distribution({.temperature = 0.8F, .top_k = 6, .seed = 4});
}
TEST(SamplerTest, DrawsFromMinP) {
  expect_distribution({.temperature = 1.2F, .min_p = 0.2F, .seed = 5});
}
TEST(SamplerTest, DrawsFromAllTogether) {
  expect_distribution({.temperature = 1.3F, .top_p = 0.9F, .top_k = 20, .min_p = 0.05F, .seed = 6});
}

TEST(SamplerTest, TopPOverALargeVocabularyKeepsTheNucleus) {
  const int vocab = 49152;
  auto logits = some_logits(12, vocab);
  logits[40000] = 30;  // nearly all the probability
  Sampler sampler = make({.temperature = 1, .top_p = 0.9F, .seed = 7}, vocab);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(sampler.sample(logits), 40000);
}

// A flat distribution: the nucleus is thousands of tokens, past every first guess of its size.
TEST(SamplerTest, TopPOverAFlatDistributionKeepsTheRightTokens) {
  const int vocab = 49152;
  const auto logits = some_logits(13, vocab);
  const SamplerParams params = {.temperature = 2, .top_p = 0.5F, .seed = 8};
  const auto p = expected(logits, params);
  Sampler sampler = make(params, vocab);
  std::set<std::int32_t> seen;
  for (int i = 0; i < 400; ++i) {
    const std::int32_t token = sampler.sample(logits);
    ASSERT_GT(p[static_cast<std::size_t>(token)], 0);
    seen.insert(token);
  }
  EXPECT_GT(seen.size(), 300U);
}

TEST(SamplerTest, GreedyTakesTheLowestOfEqualLogits) {
  std::vector<float> logits = some_logits(1);
  logits[31] = logits[17] = logits[44] = 50;
  EXPECT_EQ(make({.temperature = 0}).sample(logits), 17);
  EXPECT_EQ(make({.temperature = 1, .top_k = 1, .seed = 1}).sample(logits), 17);
  EXPECT_EQ(make({.temperature = 1e-30F}).sample(logits), 17);
}

TEST(SamplerTest, PenaltiesAndBiasMoveTheChoice) {
  std::vector<float> logits(kVocab, 0);
  logits[3] = 2;
  logits[5] = 1.5F;
  Sampler sampler = make({.temperature = 0, .frequency_penalty = 0.2F, .presence_penalty = 0.2F});
  EXPECT_EQ(sampler.sample(logits), 3);
  sampler.accept(3);  // 2 - 0.4 = 1.6
  EXPECT_EQ(sampler.sample(logits), 3);
  sampler.accept(3);  // 2 - 0.6 = 1.4
  EXPECT_EQ(sampler.sample(logits), 5);
  EXPECT_EQ(make({.temperature = 0, .logit_bias = {{7, 10}}}).sample(logits), 7);
  Sampler drawn = make({.temperature = 1, .seed = 1, .logit_bias = {{7, 100}}});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(drawn.sample(logits), 7);
}

TEST(SamplerTest, RepetitionCountsWhatIsInItsWindow) {
  const auto logits = some_logits(21);
  std::mt19937 random(22);
  for (const int last_n : {-1, 0, 1, 5, 30}) {
    Sampler sampler = make({.temperature = 0, .repetition_penalty = 1.7F, .repetition_last_n = last_n});
    std::vector<std::int32_t> history;
    const auto token = [&random] { return static_cast<std::int32_t>(random() % 8); };
    for (int i = 0; i < 12; ++i) history.push_back(token());
    sampler.remember(history);
    for (int step = 0; step < 60; ++step) {
      auto penalised = logits;
      const auto window = last_n < 0 ? history.size() : static_cast<std::size_t>(last_n);
      const auto from = history.end() - static_cast<std::ptrdiff_t>(std::min(window, history.size()));
      for (const std::int32_t seen : std::set<std::int32_t>(from, history.end())) {
        float& logit = penalised[static_cast<std::size_t>(seen)];
        logit = logit > 0 ? logit / 1.7F : logit * 1.7F;
      }
      const auto best = std::max_element(penalised.begin(), penalised.begin() + 8) - penalised.begin();
      std::vector<float> first_eight(logits.begin(), logits.end());
      std::fill(first_eight.begin() + 8, first_eight.end(), -100.0F);
      ASSERT_EQ(sampler.sample(first_eight), best) << last_n << " at " << step;
      history.push_back(step % 3 == 0 ? static_cast<std::int32_t>(best) : token());
      sampler.accept(history.back());
    }
  }
}

std::vector<std::int32_t> draws(SamplerParams params) {
  Sampler sampler = make(std::move(params));
  const auto logits = some_logits(2);
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < 64; ++i) tokens.push_back(sampler.sample(logits));
  return tokens;
}

TEST(SamplerTest, ASeedRepeatsAndChoicesDiffer) {
  EXPECT_EQ(draws({.seed = 42}), draws({.seed = 42}));
  EXPECT_NE(draws({.seed = 42}), draws({.seed = 43}));
  EXPECT_NE(draws({.seed = 42}), draws({.seed = 42, .choice = 1}));
  EXPECT_EQ(draws({.seed = 43}), draws({.seed = 42, .choice = 1}));
  EXPECT_NE(draws({}), draws({}));
  // libllama's own mark for "random".
  EXPECT_EQ(draws({.seed = 0xFFFFFFFF}), draws({.seed = 0xFFFFFFFF}));
}

TEST(SamplerTest, RefusesParametersOutOfRangeByName) {
  const auto field_at_fault = [](SamplerParams params) {
    const auto sampler = Sampler::create(std::move(params), kVocab);
    return sampler ? "" : sampler.error().field;
  };
  EXPECT_EQ(field_at_fault({.temperature = -1}), "temperature");
  EXPECT_EQ(field_at_fault({.temperature = std::nanf("")}), "temperature");
  EXPECT_EQ(field_at_fault({.top_p = 1.5F}), "top_p");
  EXPECT_EQ(field_at_fault({.top_k = -1}), "top_k");
  EXPECT_EQ(field_at_fault({.min_p = 2}), "min_p");
  EXPECT_EQ(field_at_fault({.frequency_penalty = 3}), "frequency_penalty");
  EXPECT_EQ(field_at_fault({.presence_penalty = -3}), "presence_penalty");
  EXPECT_EQ(field_at_fault({.logit_bias = {{kVocab, 1}}}), "logit_bias");
  EXPECT_EQ(field_at_fault({.logit_bias = {{1, 1000}}}), "logit_bias");
  EXPECT_EQ(field_at_fault({}), "");
}

TEST(Sampler, TopPOfNothingIsGreedy) {
  const auto logits = some_logits(3);
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  Sampler sampler = make({.temperature = 1.9F, .top_p = 0, .seed = 5});
  for (int i = 0; i < 200; ++i) EXPECT_EQ(sampler.sample(logits), best);
}

}  // namespace
}  // namespace pmt::model
