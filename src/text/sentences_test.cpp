#include "text/sentences.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> cut(const std::string& text, const SentenceRule& rule = {}) {
  std::vector<std::string> out;
  for (const Range& r : sentences_of(text, rule)) out.push_back(text.substr(r.begin, r.end - r.begin));
  return out;
}

TEST(Sentences, EndAtStopsAndLines) {
  EXPECT_THAT(cut("I met Mr. Brandt. Where is he? Version 1.2 is out"),
              ElementsAre("I met Mr. Brandt.", "Where is he?", "Version 1.2 is out"));
  EXPECT_THAT(cut("A list:\none\ntwo"), ElementsAre("A list:\n", "one\n", "two"));
}

TEST(Sentences, OfProseAreLongAndGoOverLines) {
  const SentenceRule prose{.line_bytes_min = 40, .bytes_min = 20};
  EXPECT_THAT(cut("He has the No. 5 seat,\nwhich is his. Nobody else sits there.\n\nBut", prose),
              ElementsAre("He has the No. 5 seat,\nwhich is his.", "Nobody else sits there.", "But"));
}

}  // namespace
}  // namespace pmt::text
