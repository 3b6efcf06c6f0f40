#include "api/responses/response_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const ResponseReader kAnn{.tenant = "ann"};
const ResponseReader kBob{.tenant = "bob"};
const ResponseReader kOperator{.tenant = "", .is_operator = true};

StoredResponse turn(const std::string& tenant, const std::string& said, const std::string& previous = "") {
  return {.tenant = tenant, .previous = previous, .input = {said}, .output = {"re " + said}, .json = "{}"};
}

TEST(ResponseStore, ATenantSeesItsOwnAndTheOperatorAll) {
  base::FakeClock clock;
  ResponseStore store({}, clock);
  ASSERT_TRUE(store.add("a", turn("ann", "hi")));
  EXPECT_NE(store.find("a", kAnn), nullptr);
  EXPECT_NE(store.find("a", kOperator), nullptr);
  EXPECT_EQ(store.find("a", kBob), nullptr);
  EXPECT_FALSE(store.erase("a", kBob));
  EXPECT_FALSE(store.conversation("a", kBob));
  EXPECT_TRUE(store.erase("a", kAnn));
  EXPECT_EQ(store.find("a", kAnn), nullptr);
  EXPECT_EQ(store.stats().bytes, 0U);
}

TEST(ResponseStore, AConversationIsAllOfItsTurns) {
  base::FakeClock clock;
  ResponseStore store({}, clock);
  ASSERT_TRUE(store.add("a", turn("ann", "1")));
  ASSERT_TRUE(store.add("b", turn("ann", "2", "a")));
  EXPECT_THAT(*store.conversation("b", kAnn), ElementsAre("1", "re 1", "2", "re 2"));
  EXPECT_THAT(store.inputs("b", kAnn), ElementsAre("1", "re 1", "2"));
  store.erase("a", kAnn);
  const auto broken = store.conversation("b", kAnn);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().field, "previous_response_id");
  EXPECT_THAT(broken.error().message, HasSubstr("any more"));
}

TEST(ResponseStore, TheLongestUnusedGoAndAConversationInUseStays) {
  base::FakeClock clock;
  ResponseStore store({.tenant_bytes_max = 10'000, .bytes_max = 100'000}, clock);
  ASSERT_TRUE(store.add("first", turn("ann", "1")));
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(store.add("x" + std::to_string(i), turn("ann", std::string(100, 'x'))));
    EXPECT_TRUE(store.conversation("first", kAnn)) << i;
    EXPECT_LE(store.stats().bytes, 10'000U);
  }
  EXPECT_EQ(store.find("x0", kAnn), nullptr);
  EXPECT_NE(store.find("x199", kAnn), nullptr);
  EXPECT_GT(store.stats().evicted, 100U);
}

TEST(ResponseStore, OneTenantsShareIsNotAnothers) {
  base::FakeClock clock;
  ResponseStore store({.tenant_bytes_max = 10'000, .bytes_max = 12'000}, clock);
  ASSERT_TRUE(store.add("small", turn("bob", "1")));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store.add("x" + std::to_string(i), turn("ann", "x")));
  EXPECT_NE(store.find("small", kBob), nullptr);
  EXPECT_LE(store.stats().bytes, 12'000U);
}

TEST(ResponseStore, OneThatIsLargerThanTheShareIsNotKept) {
  base::FakeClock clock;
  ResponseStore store({.tenant_bytes_max = 10'000, .bytes_max = 12'000}, clock);
  ASSERT_TRUE(store.add("a", turn("ann", "1")));
  ASSERT_TRUE(store.add("big", turn("ann", std::string(20'000, 'x'))));
  EXPECT_EQ(store.find("big", kAnn), nullptr);
  EXPECT_NE(store.find("a", kAnn), nullptr);
}

TEST(ResponseStore, ItsLifeEnds) {
  base::FakeClock clock;
  ResponseStore store({.ttl_s = 10}, clock);
  ASSERT_TRUE(store.add("a", turn("ann", "1")));
  clock.advance(std::chrono::seconds(11));
  EXPECT_EQ(store.find("a", kAnn), nullptr);
  EXPECT_EQ(store.stats().expired, 1U);
  EXPECT_EQ(store.stats().responses, 0U);
}

TEST(ResponseStore, WhatRunsIsReplacedUntilItIsCancelledOrDeleted) {
  base::FakeClock clock;
  ResponseStore store({.running_max = 1}, clock);
  const base::CancelToken cancel;
  StoredResponse running = turn("ann", "1");
  running.running = cancel;
  ASSERT_TRUE(store.add("a", running));
  EXPECT_EQ(store.add("b", running).error().code, base::Code::kExhausted);
  EXPECT_THAT(store.conversation("a", kAnn).error().message, HasSubstr("isn't finished"));
  store.update("a", turn("ann", "done"));
  EXPECT_EQ(store.find("a", kAnn)->input[0], "done");
  store.update("a", turn("ann", "too late"));
  EXPECT_EQ(store.find("a", kAnn)->input[0], "done");

  ASSERT_TRUE(store.add("b", running));
  EXPECT_TRUE(store.erase("b", kAnn));
  EXPECT_TRUE(cancel.cancelled());
  store.update("b", turn("ann", "too late"));
  EXPECT_EQ(store.find("b", kAnn), nullptr);
}

TEST(ResponseStore, ItemsAreFoundByTheIdsThatTheyWereGiven) {
  base::FakeClock clock;
  ResponseStore store({}, clock);
  const std::string stem(24, 'a');
  ASSERT_TRUE(store.add("resp_" + stem, turn("ann", "1")));
  EXPECT_EQ(store.item("msg_" + stem + "i0", kAnn), "1");
  EXPECT_EQ(store.item("fc_" + stem + "o0", kAnn), "re 1");
  for (const std::string id :
       {"msg_" + stem + "i1", "msg_" + stem + "x0", "msg_" + stem, "msg_" + stem + "i0x", std::string("msg_"),
        std::string(), "msg_" + stem + "i-1"}) {
    EXPECT_EQ(store.item(id, kAnn), std::nullopt) << id;
  }
  EXPECT_EQ(store.item("msg_" + stem + "i0", kBob), std::nullopt);
}

}  // namespace
}  // namespace pmt::api
