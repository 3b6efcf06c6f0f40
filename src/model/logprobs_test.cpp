#include "model/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace pmt::model {
namespace {

TEST(LogprobsTest, AgreesWithTheDefinition) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 4);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> logits(500);
    for (float& logit : logits) logit = std::round(normal(random) * 4) / 4;  // many ties
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });

    const auto result = logprobs(logits, 123, 20);
    EXPECT_NEAR(result.logprob, logits[123] - std::log(sum), 1e-4);
    ASSERT_EQ(result.top.size(), 20U);
    for (std::size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(result.top[i].first, order[i]);
      EXPECT_NEAR(result.top[i].second, logits[static_cast<std::size_t>(order[i])] - std::log(sum), 1e-4);
    }
  }
}

TEST(LogprobsTest, LargeLogitsDoNotOverflow) {
  const std::vector<float> logits = {30000, 30000, -30000};
  const auto result = logprobs(logits, 2, 0);
  EXPECT_FLOAT_EQ(result.logprob, -60000 - std::log(2.0F));
  EXPECT_TRUE(result.top.empty());
  EXPECT_FLOAT_EQ(logprobs(logits, 0, 1).logprob, -std::log(2.0F));
}

TEST(LogprobsTest, NoMoreTopsThanTokens) {
  EXPECT_EQ(logprobs(std::vector<float>{1, 2}, 0, 5).top.size(), 2U);
}

}  // namespace
}  // namespace pmt::model
