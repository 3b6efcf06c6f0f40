#include "rlm/quotes.h"

#include <gtest/gtest.h>

#include <string>

namespace pmt::rlm {
namespace {

std::string found(std::string_view text, std::string_view quote) {
  const auto span = find_quote(text, quote);
  return span ? std::string(text_of(text, *span)) : "(none)";
}

TEST(Quotes, StandWhereTheirWordsDo) {
  const std::string text =
      "At dusk,\n  the keeper\u2019s   boat \u2014 the \u201cHeron\u201d \u2014 came in. It was r\u00e9d!";
  EXPECT_EQ(found(text, "the keeper's boat"), "the keeper\u2019s   boat");
  EXPECT_EQ(found(text, "The Keeper\u2019s boat - the \"Heron\" - came in."),
            "the keeper\u2019s   boat \u2014 the \u201cHeron\u201d \u2014 came in.");
  EXPECT_EQ(found(text, "...It was r\u00e9d"), "It was r\u00e9d!");
  EXPECT_EQ(found(text, "At dusk"), "At dusk") << "at the text's begin";
}

TEST(Quotes, OfOtherWordsStandNowhere) {
  const std::string text = "The keeper's boat came in on 12 May.";
  for (const char* quote :
       {"The keeper's ship came in", "he keeper", "keep", "came in on 1", "boat in", "", "...", " "})
    EXPECT_EQ(found(text, quote), "(none)") << quote;
  EXPECT_EQ(found("", "boat"), "(none)");
}

}  // namespace
}  // namespace pmt::rlm
