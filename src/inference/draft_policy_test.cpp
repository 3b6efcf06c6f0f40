#include "inference/draft_policy.h"

#include <gtest/gtest.h>

namespace pmt::inference {
namespace {

constexpr double kPlain = 0.05;  // seconds a step
constexpr DraftPolicy::Pace kQuick{0.001, 0.01};

StepCosts costs(double of_a_row) {
  StepCosts out{};
  for (std::size_t n = 0; n < out.size(); ++n) out[n] = 1 + of_a_row * static_cast<double>(n);
  return out;
}

/// One step of an answer by the policy, where drafts come true with `accuracy` of `sure` tokens in a row. Returns its
/// seconds and tokens.
struct Simulated {
  double seconds = 0;
  int tokens = 0;
};
Simulated step(DraftPolicy& policy, const StepCosts& of_steps, double probability, int in_a_row) {
  DraftPolicy::Sofar sofar;
  Simulated out;
  while (policy.wants_more(sofar, kPlain, of_steps)) {
    policy.drafted(1, kQuick.step_s);
    out.seconds += kQuick.step_s;
    if (!policy.takes(sofar, probability, of_steps)) break;
  }
  const double seconds = kPlain * of_steps[static_cast<std::size_t>(sofar.drafts)];
  policy.stepped(sofar.drafts, seconds, kPlain);
  const int accepted = std::min(sofar.drafts, in_a_row);
  if (sofar.drafts > 0) policy.observe(accepted, kPlain);
  out.seconds += seconds;
  out.tokens = 1 + accepted;
  return out;
}

Simulated answer(DraftPolicy& policy, int tokens, double probability, int in_a_row) {
  const StepCosts of_steps = costs(0.1);
  Simulated all;
  while (all.tokens < tokens) {
    const Simulated one = step(policy, of_steps, probability, in_a_row);
    all.seconds += one.seconds;
    all.tokens += one.tokens;
  }
  return all;
}

TEST(DraftPolicy, GainsWhereDraftsComeTrue) {
  DraftPolicy policy(kQuick);
  const Simulated all = answer(policy, 600, 0.95, kDraftsMax);
  EXPECT_LT(all.seconds, 0.7 * kPlain * all.tokens);
}

TEST(DraftPolicy, LosesThreePercentWhereNoneDoes) {
  for (const int tokens : {10, 100, 1000}) {
    DraftPolicy policy(kQuick);
    const Simulated all = answer(policy, tokens, 0.95, 0);
    EXPECT_LE(all.seconds, 1.035 * kPlain * all.tokens + kQuick.step_s) << tokens;
  }
}

TEST(DraftPolicy, AnAnswersBeginningBuysNothing) {
  DraftPolicy policy(kQuick);
  EXPECT_FALSE(policy.may_read(1));
  policy.stepped(0, 10, kPlain);
  EXPECT_TRUE(policy.may_read(200));   // 0.2 s of 10
  EXPECT_FALSE(policy.may_read(400));  // 0.4 s
  policy.begin_answer();
  EXPECT_FALSE(policy.may_read(1)) << "another answer's time isn't this one's";
}

TEST(DraftPolicy, ASlowModelDraftsNothing) {
  DraftPolicy policy({0.001, kPlain});
  policy.stepped(0, 1000, kPlain);
  EXPECT_FALSE(policy.wants_more({}, kPlain, costs(0.1)));
  EXPECT_TRUE(DraftPolicy({0, 0}).wants_more({}, kPlain, costs(0.1)));
  EXPECT_FALSE(DraftPolicy({0, 0}).wants_more({}, 0, costs(0.1))) << "no step was measured";
}

TEST(DraftPolicy, TriesAgainAfterAWhile) {
  DraftPolicy policy(kQuick);
  (void)answer(policy, 2000, 0.95, 0);  // never right
  policy.stepped(0, 1000, kPlain);
  int refused = 0;
  while (!policy.wants_more({}, kPlain, costs(0.1)) && refused < 1000) ++refused;
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 300);
}

TEST(DraftPolicy, LearnsHowOftenTheModelIsRight) {
  DraftPolicy policy(kQuick);
  policy.stepped(0, 1000, kPlain);
  const double before = policy.chance(0.95);
  for (int i = 0; i < 30; ++i) {
    DraftPolicy::Sofar sofar;
    ASSERT_TRUE(policy.takes(sofar, 0.95, costs(0)));
    policy.observe(0, kPlain);
  }
  EXPECT_LT(policy.chance(0.95), before / 2);
  EXPECT_GT(policy.chance(0.8), 0.6) << "drafts that it was less sure of are another matter";
}

}  // namespace
}  // namespace pmt::inference
