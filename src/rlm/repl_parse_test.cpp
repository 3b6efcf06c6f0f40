#include <gtest/gtest.h>

#include "rlm/repl_program.h"

namespace pmt::rlm {
namespace {

using Codes = std::vector<std::string>;

TEST(ReplBlocks, AreFoundInOrder) {
  EXPECT_EQ(repl_blocks("a\n```repl\nx = 1\ny = 2\n```\nb\n```python\nz\n```\n```json\n{}\n```"),
            (Codes{"x = 1\ny = 2", "z"}));
  EXPECT_EQ(repl_blocks("no code, but `x`"), Codes{});
  EXPECT_EQ(repl_blocks("```repl\n```"), Codes{""});
  EXPECT_EQ(repl_blocks("```repl\nx = 1"), Codes{"x = 1"}) << "cut short by the length limit";
  EXPECT_EQ(repl_blocks("```"), Codes{});
}

TEST(FinalCall, IsFoundOutsideOfBlocksOnly) {
  EXPECT_EQ(final_call("FINAL(a (b) c)").argument, "a (b) c");
  EXPECT_EQ(final_call("Done.\nFINAL_VAR(\"result\")").name, "FINAL_VAR");
  EXPECT_EQ(final_call("Done.\nFINAL_VAR('result')").argument, "result");
  EXPECT_EQ(final_call("```repl\nFINAL(1)\n```").name, "");
  EXPECT_EQ(final_call("I will call FINAL(x) later").name, "");
  EXPECT_EQ(final_call("FINAL(two\nlines)").argument, "two\nlines");
}

}  // namespace
}  // namespace pmt::rlm
