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

}  // namespace
}  // namespace pmt::rlm
