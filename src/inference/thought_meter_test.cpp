#include "inference/thought_meter.h"

#include <gtest/gtest.h>

namespace pmt::inference {
namespace {

struct Read {
  std::string thought, answer;
  int tokens = 0;
};

/// `text` as tokens of these pieces.
Read read(const std::vector<std::string>& pieces, Thinking how = {.open = "<think>", .close = "</think>"}) {
  ThoughtMeter meter(std::move(how));
  Read out;
  const auto take = [&out](const ThoughtMeter::Parts& parts) {
    out.thought += parts.thought;
    out.answer += parts.answer;
  };
  for (const std::string& piece : pieces) take(meter.push(piece));
  take(meter.finish(""));
  out.tokens = meter.thought_tokens();
  return out;
}

struct Case {
  std::string text, thought, answer;
  Thinking how = {.open = "<think>", .close = "</think>"};
};

const Case kCases[] = {
    {"<think>so</think>Yes", "<think>so</think>", "Yes"},
    {" \n<think>\nso\n</think>\n\nYes </think>", " \n<think>\nso\n</think>\n\n", "Yes </think>"},
    {"<think>it never ends", "<think>it never ends", ""},
    {"<think></think>", "<think></think>", ""},
    {"<think>a </thin k></think>b", "<think>a </thin k></think>", "b"},
    {"<think>a <</think>b", "<think>a <</think>", "b"},
    {"<thing> is no thought", "", "<thing> is no thought"},
    {"<<think>no", "", "<<think>no"},
    {"\n\n", "", "\n\n"},
    {"  Yes <think>no</think>", "", "  Yes <think>no</think>"},
    {"<thi", "", "<thi"},
    {"", "", ""},
    {"so</think>Yes", "so</think>", "Yes", {.open = "<think>", .close = "</think>", .begun = true}},
    {"[THINK]é</think>[/THINK]ü", "[THINK]é</think>[/THINK]", "ü", {.open = "[THINK]", .close = "[/THINK]"}},
    {"<think>so</think>Yes", "", "<think>so</think>Yes", {}},
    {"(say)a(think)b(end)c(think)d(end)(say)e",
     "b(end)d(end)",
     "(say)a(think)c(think)(say)e",
     {.open = "(think)", .close = "(end)", .anywhere = true}},
};

TEST(ThoughtMeter, CutAtEveryByte) {
  for (const Case& one : kCases) {
    for (std::size_t cut = 0; cut <= one.text.size(); ++cut) {
      const Read got = read({one.text.substr(0, cut), one.text.substr(cut)}, one.how);
      EXPECT_EQ(got.thought, one.thought) << one.text << " at " << cut;
      EXPECT_EQ(got.answer, one.answer) << one.text << " at " << cut;
    }
    std::vector<std::string> bytes;
    for (const char c : one.text) bytes.emplace_back(1, c);
    const Read got = read(bytes, one.how);
    EXPECT_EQ(got.thought, one.thought) << one.text;
    EXPECT_EQ(got.answer, one.answer) << one.text;
    EXPECT_EQ(got.tokens, one.how.anywhere ? 12 : static_cast<int>(one.thought.size())) << one.text;
  }
}

TEST(ThoughtMeter, CountsTokensOnceTheyAreKnown) {
  ThoughtMeter meter({.open = "<think>", .close = "</think>"});
  meter.push("<th");
  EXPECT_EQ(meter.thoughts_found(), 0) << "it may be text";
  meter.push("ink>");
  EXPECT_EQ(meter.thoughts_found(), 2);
  meter.push("");  // half a character
  meter.push("é");
  EXPECT_EQ(meter.thought_tokens(), 4);
  meter.push("</think>Y");
  EXPECT_EQ(meter.thoughts_found(), 0) << "a token that brings some of the answer is the answer's";
  meter.push("es");
  EXPECT_EQ(meter.thought_tokens(), 4);
  EXPECT_FALSE(meter.thinking());
}

TEST(ThoughtMeter, TheBudgetCountsWhatIsBetweenTheTags) {
  ThoughtMeter meter({.open = "<think>", .close = "</think>", .budget_tokens = 2});
  meter.push("<think>");
  EXPECT_FALSE(meter.spent());
  meter.push("a");
  EXPECT_FALSE(meter.spent());
  meter.push("b");
  EXPECT_TRUE(meter.spent());
  meter.push("</think>");
  EXPECT_FALSE(meter.spent());
  EXPECT_TRUE(
      ThoughtMeter({.open = "<think>", .close = "</think>", .begun = true, .budget_tokens = 0}).spent());
  EXPECT_FALSE(ThoughtMeter({.open = "<think>", .close = "</think>", .begun = true}).spent());
}

}  // namespace
}  // namespace pmt::inference
