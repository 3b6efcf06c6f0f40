#include "rlm/ledger.h"

#include <gtest/gtest.h>

namespace pmt::rlm {
namespace {

TEST(Ledger, ReservationsSideBySideCanNotOverrun) {
  base::FakeClock clock;
  Ledger ledger({.tokens = 100}, clock);
  EXPECT_TRUE(ledger.reserve({.tokens = 60}));
  EXPECT_FALSE(ledger.reserve({.tokens = 60}));
  ledger.settle({.tokens = 60}, {.calls = 1, .prompt_tokens = 10, .completion_tokens = 20});
  EXPECT_TRUE(ledger.reserve({.tokens = 60})) << "what was not used is free again";
  const auto refused = ledger.reserve({.tokens = 11});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::Code::kExhausted);
  EXPECT_EQ(refused.error().field, "permutation.budget.tokens");
}

TEST(Ledger, DollarsCallsAndSeconds) {
  base::FakeClock clock;
  Ledger ledger({.usd = 1.0, .seconds = 5.0, .calls = 2}, clock);
  EXPECT_FALSE(ledger.reserve({.usd = 1.5}));
  EXPECT_TRUE(ledger.reserve({.usd = 0.5}));
  EXPECT_TRUE(ledger.reserve({}));
  EXPECT_FALSE(ledger.reserve({})) << "two calls are running";
  ledger.settle({.usd = 0.5}, {.calls = 1, .usd = 0.25});
  EXPECT_FALSE(ledger.reserve({})) << "one is done, one runs";
  EXPECT_EQ(ledger.spent().usd, 0.25);
  clock.advance(std::chrono::seconds(6));
  EXPECT_EQ(ledger.reserve({}).error().code, base::Code::kDeadline);
  EXPECT_EQ(ledger.seconds_left(), 0);
}

TEST(Ledger, ABatchIsReservedWhole) {
  base::FakeClock clock;
  Ledger ledger({.calls = 10, .bytes = 100}, clock);
  const auto refused = ledger.reserve({.calls = 300'000});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("budget of 10 model calls"), std::string::npos)
      << refused.error().message;
  EXPECT_NE(refused.error().message.find("300000"), std::string::npos);
  EXPECT_TRUE(ledger.check({.calls = 10})) << "nothing of it was reserved";
  ASSERT_TRUE(ledger.reserve({.calls = 8, .bytes = 40}));
  EXPECT_FALSE(ledger.check({.calls = 3}));
  ledger.settle({.calls = 1, .bytes = 5}, {.calls = 1, .bytes = 5});
  ledger.settle({.calls = 7, .bytes = 35}, {});  // never sent
  EXPECT_TRUE(ledger.check({.calls = 9, .bytes = 95}));
  const auto heavy = ledger.check({.bytes = 96});
  ASSERT_FALSE(heavy);
  EXPECT_NE(heavy.error().message.find("100 bytes of prompts"), std::string::npos) << heavy.error().message;
}

TEST(Ledger, ARequestMayAskForLessThanTheOperatorAllows) {
  const BudgetLimits allowed{.tokens = 1'000, .seconds = 60};
  EXPECT_EQ(tighter(allowed, {.tokens = 10}).tokens, 10);
  EXPECT_EQ(tighter(allowed, {.tokens = 5'000}).tokens, 1'000);
  EXPECT_EQ(tighter(allowed, {.tokens = {}}).tokens, 1'000);
  EXPECT_EQ(tighter(allowed, {.usd = 2.0, .seconds = 1e9}).seconds, 60);
  EXPECT_EQ(tighter(allowed, {.usd = 2.0}).usd, 2.0);
}

}  // namespace
}  // namespace pmt::rlm
