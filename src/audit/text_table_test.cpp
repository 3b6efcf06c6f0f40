#include "audit/text_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::audit {
namespace {

using testing::ElementsAre;

TEST(Wrap, BreaksAtSpacesAndOnlyThenInsideWords) {
  EXPECT_THAT(wrap("off: not built yet", 15), ElementsAre("off: not built", "yet"));
  EXPECT_THAT(wrap("exactly ten", 7), ElementsAre("exactly", "ten"));
  EXPECT_THAT(wrap("abcdefgh", 3), ElementsAre("abc", "def", "gh"));
  EXPECT_THAT(wrap("one\ntwo three", 5), ElementsAre("one", "two", "three"));
  EXPECT_THAT(wrap("", 3), ElementsAre(""));
}

TEST(TextTable, AlignsColumnsAndWrapsCells) {
  EXPECT_EQ(text_table({5, 6}, {{"name", "state"}, {"one", "used 2 times"}}),
            "name   state\n"
            "-----  ------\n"
            "one    used 2\n"
            "       times\n");
}

}  // namespace
}  // namespace pmt::audit
