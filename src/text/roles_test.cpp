#include "text/roles.h"

#include <gtest/gtest.h>

#include "text/question.h"
#include "text/stems.h"

namespace pmt::text {
namespace {

bool differ(std::string_view a, std::string_view b) {
  const Roles one = question_of(a).roles, other = question_of(b).roles;
  EXPECT_EQ(roles_differ(one, other), roles_differ(other, one)) << a << " | " << b;
  return roles_differ(one, other);
}

TEST(Roles, FromHereToThere) {
  EXPECT_TRUE(differ("How do I get from Oslo to Bergen?", "Which train goes from Bergen to Oslo?"));
  EXPECT_TRUE(differ("trains to oslo", "trains from oslo"));
  EXPECT_FALSE(differ("How do I get from Oslo to Bergen?", "Which train goes to Bergen from Oslo?"));
  EXPECT_FALSE(differ("how do I want to convert miles", "the way to convert miles")) << "no place";
  EXPECT_FALSE(differ("How far is it from Oslo to Bergen?", "How far is it from Bergen to Oslo?"))
      << "a distance";
}

TEST(Roles, WhoActs) {
  EXPECT_TRUE(differ("Who lent money to Ann?", "To whom did Ann lend money?"));
  EXPECT_TRUE(differ("what do snakes eat", "what eats snakes"));
  EXPECT_TRUE(differ("Who is chasing Tom?", "Who is Tom chasing?"));
  EXPECT_TRUE(differ("Was Rome attacked by Gaul?", "Did Rome attack Gaul?"));
  EXPECT_FALSE(differ("Was Rome attacked by Gaul?", "Did Gaul attack Rome?"));
  EXPECT_FALSE(differ("By whom was Ann hired?", "Who hired Ann?"));
  EXPECT_FALSE(differ("How is it made by hand?", "How do they make it by hand?"));
}

TEST(Roles, WhoseIsWhat) {
  EXPECT_TRUE(differ("the owner of the dog", "the dog of the owner"));
  EXPECT_TRUE(differ("Is Ann the mother of Ben?", "Is Ben the mother of Ann?"));
  EXPECT_TRUE(differ("Who is Ann's husband?", "Whose husband is Ann?"));
  EXPECT_FALSE(differ("What is the capital of Peru?", "What is Peru's capital?"));
  EXPECT_FALSE(differ("Who is the child of Sophia of Prussia?", "Who is Sophia of Prussia's child?"));
}

TEST(Roles, OfALongTextAreNone) {
  std::string text;
  for (std::size_t i = 0; i <= kRoleWordsMax; ++i) text += "from Oslo to Bergen ";
  EXPECT_TRUE(question_of(text).roles.slots.empty());
}

TEST(Stems, OfOneWordsForms) {
  for (const auto& [a, b] : {std::pair("lent", "lends"),
                             {"written", "writing"},
                             {"carried", "carry"},
                             {"planned", "plans"},
                             {"goes", "went"},
                             {"loves", "loving"},
                             {"cities", "city"}})
    EXPECT_EQ(stem_of(a), stem_of(b)) << a << " " << b;
  EXPECT_NE(stem_of("king"), stem_of("k"));
  EXPECT_NE(stem_of("red"), stem_of("r"));
}

}  // namespace
}  // namespace pmt::text
