#include "app/wiring/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kKey[] =
    "[[key]]\nname = \"a\"\nsha256 = \"0123456789012345678901234567890123456789012345678901234567890123\"\n";

TEST(Reload, WhatIsTakenOverAndWhatIsTheSameNeedsNoRestart) {
  const std::string before =
      "[server]\nport = 1\ntls_key = \"a\"\n[log]\nlevel = \"info\"\n[prices.m]\ninput_per_mtok = 1\n";
  EXPECT_THAT(needs_restart(before, before), IsEmpty());
  EXPECT_THAT(
      needs_restart(before, std::string(kKey) +
                                "[log]\nlevel = \"warn\"\npath = \"x\"\n"
                                "# another order, and a comment\n[server]\ntls_key = \"b\"\nport = 1 # same\n"
                                "[prices.m]\ninput_per_mtok = 2\n[prices.n]\n"),
      IsEmpty());
}

TEST(Reload, WhatTakesARestartIsNamed) {
  EXPECT_THAT(
      needs_restart(
          "[server]\nport = 1\n[cache]\nbytes_max = 5\n[[model]]\nname = \"a\"\n[log]\nlevel = \"info\"",
          "[server]\nport = 2\nhost = \"::1\"\n[[model]]\nname = \"b\"\n[log]\nformat = \"json\"\n"
          "[rlm]\nenabled = false\n[[upstream]]\nname = \"u\"\n"),
      ElementsAre("[cache] bytes_max", "[log] format", "[[model]]", "[rlm] enabled", "[server] host",
                  "[server] port", "[[upstream]]"));
  EXPECT_THAT(needs_restart("[[model]]\nname = \"a\"\n", ""), ElementsAre("[[model]]"));
}

TEST(Reload, TheLastKeyGoesOnlyByARestart) {
  const Config with = *parse_config(kKey, "c.toml"), without = *parse_config("", "c.toml");
  EXPECT_TRUE(may_reload(with, with));
  EXPECT_TRUE(may_reload(without, with));
  EXPECT_TRUE(may_reload(without, without));
  const base::Status emptied = may_reload(with, without);
  ASSERT_FALSE(emptied);
  EXPECT_THAT(emptied.error().message, HasSubstr("restart"));
}

}  // namespace
}  // namespace pmt::app
