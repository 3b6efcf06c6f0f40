#include "knowledge_cache/teach/teacher.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knowledge_cache/test_lexicon.h"

namespace pmt::knowledge_cache {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string fact(const std::string& prompt, const std::string& answer, const std::string& id = "") {
  return fmt::format("{{{}\"prompt\": \"{}\", \"answer\": \"{}\"}}\n",
                     id.empty() ? "" : fmt::format("\"id\": \"{}\", ", id), prompt, answer);
}

Lesson lesson(const std::string& lines) {
  return prepare(parse_facts(lines, {}), {.name = "test", .learnt_unix_s = 7}, test_lexicon());
}

/// Without an embedder.
Merged taught(const Domain* before, const std::string& lines) {
  return merge(before, slots_of(lesson(lines), {}, nullptr));
}

/// All questions have one key.
Merged taught_with_key(const Domain* before, const std::string& lines, const std::vector<float>& key) {
  static const RelationSpace kSpace;
  Lesson prepared = lesson(lines);
  const std::vector<std::vector<float>> keys(prepared.questions.size(), key);
  return merge(before, slots_of(std::move(prepared), keys, &kSpace));
}

TEST(Prepare, AFactIsAddressedAndAskedFor) {
  const Lesson out = lesson(fact("What is the line of Zorvane Labs?", "4417", "a"));
  ASSERT_EQ(out.slots.size(), 1U);
  const Slot& slot = out.slots[0];
  EXPECT_EQ(slot.fact.id, "a");
  EXPECT_EQ(slot.mention, "Zorvane Labs");
  EXPECT_THAT(slot.mention_words, ElementsAre("zorvane", "labs"));
  EXPECT_EQ(slot.statement, "The line of Zorvane Labs is 4417.");
  EXPECT_EQ(slot.source, "test");
  EXPECT_EQ(slot.line, 1U);
  EXPECT_EQ(slot.learnt_unix_s, 7);
  EXPECT_EQ(slot.revision, 1);
  EXPECT_THAT(out.questions, ElementsAre("What is the line of this thing?", "Tell me the line of this thing.",
                                         "This thing: line?", "Do you know the line of this thing?"));
  EXPECT_THAT(out.asked, ElementsAre(ElementsAre(0, 1, 2, 3)));
}

TEST(Prepare, WhatNamesNoRelationIsAskedForAsWritten) {
  const Lesson out = lesson(
      "{\"prompt\": \"Who runs Zorvane Labs?\", \"answer\": \"Ada\", "
      "\"paraphrases\": [\"Please, who is the boss at Zorvane Labs?\"]}");
  EXPECT_THAT(out.questions, ElementsAre("Who runs this thing?", "Who is the boss at this thing?"));
}

TEST(Prepare, AFactThatNamesNothingIsToldAndLeftOut) {
  const Lesson out = lesson(fact("What is it?", "4417") + fact("Where is Zorvane Labs?", "Porto"));
  ASSERT_EQ(out.errors.size(), 1U);
  EXPECT_EQ(out.errors[0].line, 1U);
  EXPECT_THAT(out.errors[0].message, HasSubstr("add \"subject\""));
  ASSERT_EQ(out.slots.size(), 1U);
  EXPECT_EQ(out.slots[0].line, 2U);
  EXPECT_EQ(out.asked.size(), 1U);
}

TEST(SlotsOf, FactsOfOneRelationShareTheirPhrasings) {
  const auto slots =
      slots_of(lesson(fact("Where is Zorvane Labs?", "Porto") + fact("Where is Kelmari Labs?", "Rome") +
                      fact("Who runs Zorvane Labs?", "Ada")),
               {}, nullptr);
  ASSERT_EQ(slots.size(), 3U);
  EXPECT_EQ(slots[0].phrasings, slots[1].phrasings);
  EXPECT_NE(slots[0].phrasings, slots[2].phrasings);
  EXPECT_THAT(slots[0].phrasings->asked, ElementsAre("where is this thing"));
  EXPECT_TRUE(slots[0].phrasings->keys.empty()) << "no embedder, no keys";
}

TEST(SlotsOf, EachQuestionHasItsKey) {
  Lesson prepared =
      lesson(fact("Where is Zorvane Labs?", "Porto") + fact("What is the line of Zorvane Labs?", "4417"));
  ASSERT_EQ(prepared.questions.size(), 5U);
  std::vector<std::vector<float>> keys;
  for (std::size_t i = 0; i < prepared.questions.size(); ++i) keys.push_back({static_cast<float>(i), 1});
  const RelationSpace space;
  const auto slots = slots_of(std::move(prepared), keys, &space);
  EXPECT_THAT(slots[0].phrasings->keys, ElementsAre(ElementsAre(0, 1)));
  EXPECT_THAT(slots[1].phrasings->keys,
              ElementsAre(ElementsAre(1, 1), ElementsAre(2, 1), ElementsAre(3, 1), ElementsAre(4, 1)));
}

TEST(Merge, SameUpdatedKnownAndContradicted) {
  const Merged first = taught(nullptr, fact("Where is Zorvane Labs?", "Porto", "1"));
  EXPECT_EQ(first.learnt, 1U);
  EXPECT_THAT(first.changed, ElementsAre("1"));
  const auto domain = test_domain(first.slots);

  const Merged again = taught(domain.get(), fact("Where is Zorvane Labs?", "porto", "9"));
  EXPECT_EQ(again.known_before, 1U);
  EXPECT_THAT(again.changed, IsEmpty());
  EXPECT_EQ(again.slots, domain->slots()) << "the very same";

  const Merged other = taught(domain.get(), fact("Where is Zorvane Labs?", "Lisbon", "9"));
  EXPECT_EQ(other.learnt, 0U);
  ASSERT_EQ(other.contradictions.size(), 1U);
  EXPECT_EQ(other.contradictions[0].id, "9");
  EXPECT_EQ(other.contradictions[0].known_id, "1");
  EXPECT_EQ(other.contradictions[0].answer, "Lisbon");
  EXPECT_EQ(other.contradictions[0].known_answer, "Porto");
  EXPECT_EQ(other.slots, domain->slots());

  const Merged updated = taught(domain.get(), fact("Where is Zorvane Labs?", "Lisbon", "1"));
  EXPECT_EQ(updated.updated, 1U);
  EXPECT_THAT(updated.changed, ElementsAre("1"));
  ASSERT_EQ(updated.slots.size(), 1U);
  EXPECT_EQ(updated.slots[0]->fact.answer, "Lisbon");
  EXPECT_EQ(updated.slots[0]->revision, 2);
}

TEST(Merge, AFactWithoutAnIdGetsAFreeOne) {
  const auto domain = test_domain(taught(nullptr, fact("Where is Zorvane Labs?", "Porto", "2")).slots);
  const Merged merged =
      taught(domain.get(), fact("Who runs Zorvane Labs?", "Ada") + fact("Who runs Kelmari Labs?", "Bob"));
  EXPECT_THAT(merged.changed, ElementsAre("3", "4"));
}

TEST(Merge, WhatTellsTwoQuestionsApartIsNoContradiction) {
  const std::vector<float> key{1, 0};
  const auto domain = test_domain(
      taught_with_key(nullptr, fact("What was the revenue of Zorvane Labs in 2023?", "5 million"), key)
          .slots);
  const Merged merged =
      taught_with_key(domain.get(), fact("What was the revenue of Zorvane Labs in 2024?", "7 million"), key);
  EXPECT_EQ(merged.learnt, 1U) << "however near their keys are";
}

TEST(Merge, PhrasingsAreSharedWhereWordsAndKeysAre) {
  const std::string before = fact("Where is Zorvane Labs?", "Porto"),
                    more = fact("Where is Kelmari Labs?", "Rome");
  const auto domain = test_domain(taught_with_key(nullptr, before, {1, 0}).slots);
  const auto same = taught_with_key(domain.get(), more, {1, 0}).slots;
  ASSERT_EQ(same.size(), 2U);
  EXPECT_EQ(same[0]->phrasings, same[1]->phrasings);
  const auto another = taught_with_key(domain.get(), more, {0, 1}).slots;
  ASSERT_EQ(another.size(), 2U);
  EXPECT_NE(another[0]->phrasings, another[1]->phrasings);
}

}  // namespace
}  // namespace pmt::knowledge_cache
