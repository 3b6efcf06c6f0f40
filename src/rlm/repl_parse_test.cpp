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

}  // namespace
}  // namespace pmt::rlm
