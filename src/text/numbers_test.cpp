#include "text/numbers.h"

#include <gtest/gtest.h>

namespace pmt::text {
namespace {

/// All numbers of a text, joined.
std::string numbers(std::string_view text) {
  std::string out;
  const auto words = words_of(text, {.parts = true});
  for (std::size_t at = 0; at < words.size();) {
    const auto number = number_at(words, at);
    if (number) out += (out.empty() ? "" : " ") + number->value + number->unit;
    at += number ? number->words : 1;
  }
  return out;
}

TEST(Numbers, AreOneHoweverTheyAreWritten) {
  EXPECT_EQ(numbers("1,500 and 1500 and fifteen hundred"), "1500 1500 1500");
  EXPECT_EQ(numbers("25; twenty-five; twenty five"), "25 25 25");
  EXPECT_EQ(numbers("two million, 2 million, 2,000,000"), "2000000 2000000 2000000");
  EXPECT_EQ(numbers("one hundred and five, 105"), "105 105");
  EXPECT_EQ(numbers("the second city, the 2nd city"), "2 2");
  EXPECT_EQ(numbers("in nineteen ninety-four"), "1994");
  EXPECT_EQ(numbers("5.00 5 007"), "5 5 7");
  EXPECT_EQ(numbers("5k and 1.5 million"), "5000 1500000");
}

TEST(Numbers, ThatDifferStayApart) {
  EXPECT_EQ(numbers("3.10 3.1 v3.11"), "3.10 3.1 3.11");
  EXPECT_EQ(numbers("1990s 1990 q3 Q4"), "1990s 1990 q3 q4");
  EXPECT_EQ(numbers("two three"), "2 3");
  EXPECT_EQ(numbers("10:30 3/4"), "10:30 3/4");
}

TEST(Numbers, WordsThatCountNothing) {
  EXPECT_EQ(numbers("one of them, several thousand files, a second, 5 per second"), "5");
  EXPECT_EQ(numbers("wait a second"), "");
}

TEST(Numbers, Units) {
  EXPECT_EQ(numbers("5km"), "5km");
  EXPECT_EQ(unit_of("kilometres"), "km");
  EXPECT_EQ(unit_of("thing"), "");
  EXPECT_EQ(unit_before("for $5", 5), "usd");
  EXPECT_EQ(unit_before("for \u20ac5", 7), "eur");
  EXPECT_EQ(unit_after("5 %", 1), "%");
}

}  // namespace
}  // namespace pmt::text
