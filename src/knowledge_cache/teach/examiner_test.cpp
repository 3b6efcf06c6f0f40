#include "knowledge_cache/teach/examiner.h"

#include <gtest/gtest.h>

#include "knowledge_cache/teach/teacher.h"
#include "knowledge_cache/test_embed.h"
#include "knowledge_cache/test_lexicon.h"

namespace pmt::knowledge_cache {
namespace {

class ExaminerTest : public testing::Test {
 protected:
  std::shared_ptr<const Slot> slot(const std::string& id, const std::string& prompt,
                                   const std::string& answer) const {
    return test_slot(id, prompt, answer, lexicon_);
  }
  Exam examine(const Domain* before, const Domain& after, const std::vector<std::string>& taught) {
    const auto exam = Examiner(lexicon_, no_keys_).examine(before, after, taught);
    EXPECT_TRUE(exam) << exam.error().message;
    return exam ? *exam : Exam{};
  }

  const Lexicon lexicon_ = test_lexicon();
  QuestionKeys no_keys_{nullptr, {.embedder = "", .path = ""}};
  const std::shared_ptr<const Slot> line_ = slot("1", "What is the line of Zorvane Labs?", "4417");
  const std::shared_ptr<const Slot> boss_ = slot("2", "Who runs Zorvane Labs?", "Ada");
};

TEST_F(ExaminerTest, WhatWasTaughtIsRecalled) {
  const auto domain = test_domain({line_, boss_});
  const Exam exam = examine(nullptr, *domain, {"1", "2"});
  EXPECT_EQ(exam.recalled, 2U);
  EXPECT_EQ(exam.unseen_asked, 0U) << "without an embedder only what was taught word for word is found";
  EXPECT_EQ(exam.others_asked, 0U);
}

TEST_F(ExaminerTest, WhatIsNotFoundDoesntCount) {
  Slot lost = *boss_;
  lost.phrasings = line_->phrasings;
  const auto domain = test_domain({line_, std::make_shared<const Slot>(std::move(lost))});
  EXPECT_EQ(examine(nullptr, *domain, {"1", "2"}).recalled, 1U);
}

TEST_F(ExaminerTest, WhatWasKnownIsAskedAgain) {
  const auto before = test_domain({line_});
  const auto with_more = test_domain({line_, boss_});
  const Exam kept = examine(before.get(), *with_more, {"2"});
  EXPECT_EQ(kept.others_asked, 1U);
  EXPECT_EQ(kept.others_changed, 0U);
  const auto another = test_domain({slot("1", "What is the line of Zorvane Labs?", "5528"), boss_});
  EXPECT_EQ(examine(before.get(), *another, {"2"}).others_changed, 1U) << "another answer";
  const auto gone = test_domain({boss_});
  EXPECT_EQ(examine(before.get(), *gone, {"2"}).others_changed, 1U) << "no answer";
  EXPECT_EQ(examine(before.get(), *another, {"1", "2"}).others_asked, 0U) << "what was taught isn't another";
}

TEST_F(ExaminerTest, ARelationThatIsNamedIsAskedForInOtherWords) {
  std::size_t embedded = 0;
  bool fails = false;
  const Embed works = test_embed(embedded);
  QuestionKeys keys(
      [&](const std::vector<std::string>& texts) -> base::Result<std::vector<float>> {
        if (fails) return base::Error{base::Code::kUnavailable, "busy"};
        return works(texts);
      },
      {.embedder = "words", .path = ""});
  ASSERT_TRUE(keys.ensure_space());
  const auto domain = keys.rekeyed(test_domain({line_, boss_}));
  ASSERT_TRUE(domain) << domain.error().message;
  fails = true;  // what was taught is found by its words; only the other wording is to be embedded
  const auto failed = Examiner(lexicon_, keys).examine(nullptr, **domain, {"1", "2"});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "busy");
  fails = false;
  const auto exam = Examiner(lexicon_, keys).examine(nullptr, **domain, {"1", "2"});
  ASSERT_TRUE(exam) << exam.error().message;
  EXPECT_EQ(exam->recalled, 2U);
  EXPECT_EQ(exam->unseen_asked, 1U) << "\"Who runs\" names none";
}

}  // namespace
}  // namespace pmt::knowledge_cache
