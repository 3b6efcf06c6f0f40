#include "response_cache/semantic/semantic_text.h"

#include <gtest/gtest.h>

namespace pmt::response_cache {
namespace {

Veto between(std::string_view a, std::string_view b) {
  const Veto there = veto(facts_of(a), facts_of(b));
  EXPECT_EQ(there, veto(facts_of(b), facts_of(a))) << a << " | " << b;
  return there;
}

TEST(SemanticText, NumbersMustBeTheSame) {
  EXPECT_EQ(between("Who won the cup in 1990?", "Who won the cup in 1994?"), Veto::kNumber);
  EXPECT_EQ(between("Give me 3 ideas", "Give me five ideas"), Veto::kNumber);
  EXPECT_EQ(between("Convert 1.5 kg", "Convert 15 kg"), Veto::kNumber);
  EXPECT_EQ(between("Is 12 prime?", "Is it prime?"), Veto::kNumber);
  EXPECT_EQ(between("Give me three ideas", "I want 3 ideas"), Veto::kNone);
  EXPECT_EQ(between("What is 1,500 plus 2?", "How much is 1500 + 2?"), Veto::kNone);
  EXPECT_EQ(between("What costs 5.00?", "What costs 5?"), Veto::kNone);
}

TEST(SemanticText, NegationOnOneSide) {
  EXPECT_EQ(between("Can dogs eat grapes?", "Can dogs not eat grapes?"), Veto::kNegation);
  EXPECT_EQ(between("Why does it work?", "Why doesn't it work?"), Veto::kNegation);
  EXPECT_EQ(between("Dishes that need an oven", "Dishes that never need an oven"), Veto::kNegation);
  EXPECT_EQ(between("Why doesn't it start?", "Why will it not start?"), Veto::kNone);
}

TEST(SemanticText, NamesMustBeTheSame) {
  EXPECT_EQ(between("Where was Mara Lindqvist born?", "Where was Ola Berg born?"), Veto::kName);
  EXPECT_EQ(between("What is the capital of France?", "What is the capital of Peru?"), Veto::kName);
  EXPECT_EQ(between("How do I call readFile?", "How do I call writeFile?"), Veto::kName);
  EXPECT_EQ(between("Where was Mara Lindqvist born?", "What is Mara Lindqvist's birthplace?"), Veto::kNone);
  EXPECT_EQ(between("What is the capital of Peru?", "what is peru's capital?"), Veto::kNone);
}

TEST(SemanticText, OppositeWords) {
  EXPECT_EQ(between("What is the highest mountain?", "What is the lowest mountain?"), Veto::kOpposite);
  EXPECT_EQ(between("How do I enable sync?", "How do I disable sync?"), Veto::kOpposite);
  EXPECT_EQ(between("Who founded it?", "When was it founded?"), Veto::kOpposite);
  EXPECT_EQ(between("Is it safe before meals?", "Is it safe after meals?"), Veto::kOpposite);
  EXPECT_EQ(between("What came before and after?", "What was before, what after?"), Veto::kNone);
}

TEST(SemanticText, Units) {
  EXPECT_EQ(between("How far is the moon in km?", "How far is the moon in miles?"), Veto::kUnit);
  EXPECT_EQ(between("How far is the moon in km?", "How many kilometres to the moon?"), Veto::kNone);
}

TEST(SemanticText, AnExchangedNameInLowerCaseShowsAsSubstitution) {
  const auto swapped = likeness(facts_of("where was mara born"), facts_of("where was ola born"));
  const auto reworded = likeness(facts_of("where was mara born"), facts_of("in which town was mara born"));
  EXPECT_GT(swapped.substituted, 0.5F);
  EXPECT_EQ(reworded.substituted, 0);
  EXPECT_GT(reworded.contained, swapped.contained);
}

TEST(SemanticText, AnyBytesAreTaken) {
  for (const std::string& text : {std::string(), std::string("\xff\xfe\x00 1.", 6), std::string("...''"),
                                  std::string("'s 's"), std::string(5000, '9')}) {
    EXPECT_EQ(between(text, text), Veto::kNone);
    (void)likeness(facts_of(text), facts_of("x"));
  }
}

}  // namespace
}  // namespace pmt::response_cache
