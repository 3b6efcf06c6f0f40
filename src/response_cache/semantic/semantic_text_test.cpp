#include "response_cache/semantic/semantic_text.h"

#include <gtest/gtest.h>

namespace pmt::response_cache {
namespace {

using text::question_of;

TEST(SemanticText, AnExchangedNameInLowerCaseShowsAsSubstitution) {
  const auto swapped = likeness(question_of("where was mara born"), question_of("where was ola born"));
  const auto reworded =
      likeness(question_of("where was mara born"), question_of("in which town was mara born"));
  EXPECT_GT(swapped.substituted, 0.5F);
  EXPECT_EQ(reworded.substituted, 0);
  EXPECT_GT(reworded.contained, swapped.contained);
}

TEST(SemanticText, AnyBytesAreTaken) {
  for (const std::string& text : {std::string(), std::string("\xff\xfe\x00 1.", 6), std::string(5000, '9')})
    (void)likeness(question_of(text), question_of("x"));
}

}  // namespace
}  // namespace pmt::response_cache
