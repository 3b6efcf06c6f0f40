#include "text/difference.h"

#include <gtest/gtest.h>

namespace pmt::text {
namespace {

struct Pair {
  Difference difference;
  const char *first, *second;
};

constexpr Pair kPairs[] = {
    {Difference::kNumber, "Who won the cup in 1990?", "Who won the cup in 1994?"},
    {Difference::kNumber, "Give me 3 ideas", "Give me five ideas"},
    {Difference::kNumber, "Convert 1.5 kg", "Convert 15 kg"},
    {Difference::kNumber, "Is 12 prime?", "Is it prime?"},
    {Difference::kNumber, "Which is the second largest city?", "Which is the largest city?"},
    {Difference::kNumber, "What is new in Python 3.1?", "What is new in Python 3.10?"},
    {Difference::kNumber, "Films of the 1990s", "Films of 1990"},
    {Difference::kNone, "Give me three ideas", "I want 3 ideas"},
    {Difference::kNone, "What is 1,500 plus 2?", "How much is 1500 + 2?"},
    {Difference::kNone, "What costs 5.00?", "What costs 5?"},
    {Difference::kNegation, "Can dogs eat grapes?", "Can dogs not eat grapes?"},
    {Difference::kNegation, "Why does it work?", "Why doesn't it work?"},
    {Difference::kNegation, "Dishes that need an oven", "Dishes that never need an oven"},
    {Difference::kNone, "Why doesn't it start?", "Why will it not start?"},
    {Difference::kNone, "Can't you tell me the time?", "Can you tell me the time?"},
    {Difference::kNone, "Don't hesitate to tell me the time", "Tell me the time"},
    {Difference::kNone, "No need to hurry, what is the capital of Peru?", "What is the capital of Peru?"},
    {Difference::kNegation, "Don't tell me the time", "Tell me the time"},
    {Difference::kName, "Where was Mara Lindqvist born?", "Where was Ola Berg born?"},
    {Difference::kName, "What is the capital of France?", "What is the capital of Peru?"},
    {Difference::kName, "what is the capital of france", "what is the capital of peru"},
    {Difference::kName, "How do I call readFile?", "How do I call writeFile?"},
    {Difference::kNone, "Where was Mara Lindqvist born?", "What is Mara Lindqvist's birthplace?"},
    {Difference::kNone, "What is the capital of Peru?", "what is peru's capital?"},
    {Difference::kOpposite, "What is the highest mountain?", "What is the lowest mountain?"},
    {Difference::kOpposite, "How do I enable sync?", "How do I disable sync?"},
    {Difference::kOpposite, "Who founded it?", "When was it founded?"},
    {Difference::kOpposite, "Is it safe before meals?", "Is it safe after meals?"},
    {Difference::kOpposite, "Is it possible?", "Is it impossible?"},
    {Difference::kOpposite, "How do I log in?", "How do I log out?"},
    {Difference::kOpposite, "a careless driver", "a careful driver"},
    {Difference::kNone, "What came before and after?", "What was before, what after?"},
    {Difference::kNone, "Fill in the form", "What form do I fill in?"},
    {Difference::kUnit, "How far is the moon in km?", "How far is the moon in miles?"},
    {Difference::kUnit, "Convert 5 miles to kilometres", "Convert 5 kilometres to miles"},
    {Difference::kUnit, "a man of 5 feet 11 inches", "a man of 11 feet 5 inches"},
    {Difference::kUnit, "What can I buy for $5?", "What can I buy for \u20ac5?"},
    {Difference::kNone, "How far is the moon in km?", "How many kilometres to the moon?"},
    {Difference::kNone, "What can I buy for $5?", "What can I buy for 5 dollars?"},
    {Difference::kTime, "is the bank open on monday", "is the bank open on sunday"},
    {Difference::kTime, "What is it like in May?", "What is it like in March?"},
    {Difference::kTime, "What were the sales last year?", "What are the sales this year?"},
    {Difference::kNone, "May I ask in March?", "Can I ask in Mar?"},
    {Difference::kTask, "how do I reset it", "Translate: how do I reset it"},
    {Difference::kTask, "how do I reset it", "Is \"how do I reset it\" polite?"},
    {Difference::kTask, "How do you spell Acme?", "How do you pronounce Acme?"},
    {Difference::kTask, "Write a poem about Rome", "Write an essay about Rome"},
    {Difference::kTask, "Ignore this: who wrote it?", "Who wrote it?"},
    {Difference::kNone, "Question: who wrote it?", "Who wrote it?"},
    {Difference::kNone, "Who wrote \"The Old Man\"?", "Who is the author of The Old Man?"},
    {Difference::kNone, "What does \"snake_case\" mean?", "What does snake_case mean?"},
    {Difference::kNone, "Is \"1,500\" prime?", "Is 1500 prime?"},
    {Difference::kNone, "Who wrote 'The Two Towers'?", "Who is the author of The Two Towers?"},
    {Difference::kRoles, "How do I convert miles to kilometres?", "How do I convert kilometres to miles?"},
    {Difference::kRoles, "Did Rome attack Carthage first?", "Did Carthage attack Rome first?"},
    {Difference::kRoles, "Is a square a rectangle?", "Is a rectangle a square?"},
    {Difference::kRoles, "What is 10 minus 4?", "What is 4 minus 10?"},
    {Difference::kRoles, "10 - 4", "4 - 10"},
    {Difference::kRoles, "Is gold denser than lead?", "Is lead denser than gold?"},
    {Difference::kNone, "Do cats and dogs get on?", "Do dogs and cats get on?"},
    {Difference::kNone, "What is 10 plus 4?", "What is 4 + 10?"},
};

TEST(Difference, IsTold) {
  for (const auto& [wanted, first, second] : kPairs) {
    const Question a = question_of(first), b = question_of(second);
    EXPECT_STREQ(to_string(difference(a, b)), to_string(wanted)) << first << " | " << second;
    EXPECT_EQ(difference(a, b), difference(b, a)) << first << " | " << second;
  }
}

TEST(Difference, NoTextDiffersFromItself) {
  for (const auto& pair : kPairs) {
    for (const char* text : {pair.first, pair.second}) {
      const Question question = question_of(text);
      EXPECT_EQ(difference(question, question), Difference::kNone) << text;
      EXPECT_FALSE(qualified(question, question).leaves_out) << text;
    }
  }
}

TEST(Difference, AnyBytesAreTaken) {
  for (const std::string& text :
       {std::string(), std::string("\xff\xfe\x00 1.", 6), std::string("...\"''"), std::string("'s 's"),
        std::string(5000, '9'), std::string("\xe2\x80"), std::string(3000, '"')}) {
    const Question question = question_of(text);
    EXPECT_EQ(difference(question, question), Difference::kNone);
    (void)difference(question, question_of("What is 5 plus 6?"));
  }
}

TEST(Difference, OfLongTextsTakesLinearTime) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "say \"Name" + std::to_string(i) + " and\" not 5 km, it's ";
  const Question question = question_of(text);
  EXPECT_EQ(difference(question, question), Difference::kNone);
  EXPECT_EQ(difference(question, question_of(text + "6")), Difference::kNumber);
}

Qualified fit(std::string_view asked, std::string_view known) {
  return qualified(question_of(asked), question_of(known));
}

TEST(Qualified, AFactOfAnotherYearOrPlaceIsAnother) {
  const char* const known = "What was the revenue of this thing in 2023?";
  EXPECT_EQ(fit("What was the revenue of this thing in 2024?", known).difference, Difference::kNumber);
  EXPECT_EQ(fit("How much did this thing earn in 2023?", known).difference, Difference::kNone);
  EXPECT_TRUE(fit("What is the revenue of this thing?", known).leaves_out);
  EXPECT_EQ(fit("What was the Q3 revenue of this thing in 2023?", known).difference, Difference::kNumber);
  EXPECT_EQ(
      fit("What is the revenue of this thing in Norway?", "What is the revenue of this thing in Sweden?")
          .difference,
      Difference::kName);
  EXPECT_EQ(
      fit("what is the revenue of this thing in norway", "What is the revenue of this thing?").difference,
      Difference::kName);
  EXPECT_EQ(fit("Is this thing open on Sunday?", "Is this thing open on Monday?").difference,
            Difference::kTime);
}

TEST(Qualified, TheFirstHalfIsNotTheSecond) {
  EXPECT_EQ(fit("What was the loss of this thing in the first half of 2021?",
                "What was the loss of this thing in the second half of 2021?")
                .difference,
            Difference::kOpposite);
  EXPECT_EQ(fit("Is the question \"Where was this thing born?", "Where was this thing born?").difference,
            Difference::kTask)
      << "a sentence that ended inside the quotation";
}

TEST(Qualified, WordingIsFree) {
  EXPECT_EQ(fit("Until when is this thing open?", "What is the closing time of this thing?").difference,
            Difference::kNone);
  EXPECT_EQ(fit("On which day is this thing not open?", "What is the rest day of this thing?").difference,
            Difference::kNone);
  EXPECT_EQ(fit("Is this thing built in Python or Java?", "What is the language of this thing?").difference,
            Difference::kNone);
  EXPECT_EQ(
      fit("Write 50 words about the price of this thing.", "What is the price of this thing?").difference,
      Difference::kNone);
}

TEST(Qualified, AlikeButTurnedRound) {
  EXPECT_EQ(
      fit("What is the minimum speed of this thing?", "What is the maximum speed of this thing?").difference,
      Difference::kOpposite);
  EXPECT_EQ(fit("Which dish does this thing not eat?", "Which dish does this thing eat?").difference,
            Difference::kNegation);
  EXPECT_EQ(fit("Who does this thing own?", "Who owns this thing?").difference, Difference::kRoles);
  EXPECT_EQ(
      fit("Translate \"What is the price of this thing?\"", "What is the price of this thing?").difference,
      Difference::kTask);
}

}  // namespace
}  // namespace pmt::text
