#include "permutation/cascade_policy.h"

#include <gtest/gtest.h>

namespace pmt::permutation {
namespace {

constexpr Escalation kNever = Escalation::kNever, kAlways = Escalation::kAlways,
                     kConfidence = Escalation::kConfidence;

TEST(CascadePolicyTest, WhoIsAskedFirst) {
  const struct {
    const char* name;
    CascadePolicy policy;
    double probability;
    bool explore;
    const char* why_not;  // "": the student is asked
  } table[] = {
      {"as configured by default", {}, 0.1, false, ""},
      {"no student", {.has_student = false}, 1, true, "no local model is configured"},
      {"always the teacher", {.escalation = kAlways}, 1, false, "escalation is always"},
      {"always, but its draft is wanted", {.escalation = kAlways, .synthesis = true}, 1, false, ""},
      {"always, but explored", {.escalation = kAlways}, 1, true, ""},
      {"always, without a teacher", {.has_teacher = false, .escalation = kAlways}, 1, false, ""},
      {"too difficult", {.student_probability_min = 0.5}, 0.49, false, "too difficult"},
      {"as difficult as may be", {.student_probability_min = 0.5}, 0.5, false, ""},
      {"too difficult, but explored", {.student_probability_min = 0.5}, 0.1, true, ""},
      {"too difficult, and nobody else",
       {.has_teacher = false, .student_probability_min = 0.5},
       0,
       false,
       ""},
      {"too difficult, and never the teacher",
       {.escalation = kNever, .student_probability_min = 0.5},
       0,
       false,
       ""},
  };
  for (const auto& row : table) {
    const auto why = why_not_student(row.policy, row.probability, row.explore);
    EXPECT_EQ(why.has_value(), row.why_not[0] != '\0') << row.name;
    if (why) {
      EXPECT_EQ(why->rfind(row.why_not, 0), 0U) << row.name << ": " << *why;
    }
  }
}

TEST(CascadePolicyTest, AProbeIsEnoughUnlessTheWholeAnswerIsNeeded) {
  llm::Request plain, many, taught;
  many.n = 2;
  taught.knowledge = {"acme"};
  const struct {
    const char* name;
    CascadePolicy policy;
    const llm::Request& request;
    bool explore, enough;
  } table[] = {
      {"by default", {}, plain, false, true},
      {"judged by all", {.probe_tokens = 0}, plain, false, false},
      {"other answers are drawn", {.agreement_samples = 1}, plain, false, false},
      {"both drafts are wanted", {.synthesis = true}, plain, false, false},
      {"explored", {}, plain, true, false},
      {"several choices", {}, many, false, false},
      {"a taught fact may come", {}, taught, false, false},
      {"the teacher is asked anyway", {.escalation = kAlways}, plain, false, false},
  };
  for (const auto& row : table)
    EXPECT_EQ(judged_by_probe(row.policy, row.request, row.explore), row.enough) << row.name;
}

TEST(CascadePolicyTest, AfterTheStudentsWholeAnswer) {
  using Next = AfterStudent::Next;
  const struct {
    const char* name;
    CascadePolicy policy;
    double confidence;
    bool explore;
    Next next;
  } table[] = {
      {"judged", {}, 0.1, false, Next::kJudge},
      {"unsure, and answers may be drawn", {.agreement_samples = 2}, 0.59, false, Next::kSample},
      {"sure, so none need be drawn", {.agreement_samples = 2}, 0.6, false, Next::kJudge},
      {"explored", {}, 1, true, Next::kEscalate},
      {"always", {.escalation = kAlways}, 1, false, Next::kEscalate},
  };
  for (const auto& row : table)
    EXPECT_EQ(after_student(row.policy, row.confidence, row.explore).next, row.next) << row.name;
}

TEST(CascadePolicyTest, HowSureIsSure) {
  const struct {
    const char* name;
    double mean;
    std::vector<double> agreements;
    std::vector<std::string> facts;
    double confidence;
    bool sure;
    const char* why;
  } table[] = {
      {"at the bound", 0.6, {}, {}, 0.6, true, "the student's confidence is 0.600, at least 0.600"},
      {"below it", 0.5, {}, {}, 0.5, false, "the student's confidence is 0.500, below 0.600"},
      {"saved by agreement",
       0.5,
       {1, 0.8},
       {},
       0.7,
       true,
       "the student's confidence is 0.700, at least 0.600"},
      {"undone by disagreement", 0.7, {0}, {}, 0.35, false, "the student's confidence is 0.350, below 0.600"},
      {"it was taught", 0.1, {}, {"acme/1"}, 0.1, true, "the student knows it by a taught fact"},
  };
  for (const auto& row : table) {
    const Judgement judgement = judge(row.mean, 7, row.agreements, row.facts, 0.6);
    EXPECT_DOUBLE_EQ(judgement.confidence, row.confidence) << row.name;
    EXPECT_EQ(judgement.sure, row.sure) << row.name;
    EXPECT_EQ(judgement.why, row.why) << row.name;
    EXPECT_EQ(judgement.agreement.has_value(), !row.agreements.empty()) << row.name;
    EXPECT_EQ(judgement.tokens, 7);
  }
}

TEST(CascadePolicyTest, WhoStepsInForWhomWhenOneFails) {
  const base::Code busy = base::Code::kUnavailable, wrong = base::Code::kInvalidArgument;
  const struct {
    const char* name;
    CascadePolicy policy;
    StageKind failed;
    base::Code code;
    bool started;
    AfterFailure next;
  } table[] = {
      {"the teacher for the student", {}, StageKind::kStudent, busy, false, AfterFailure::kAskTeacher},
      {"nobody, without one", {.has_teacher = false}, StageKind::kStudent, busy, false, AfterFailure::kFail},
      {"nobody, if never", {.escalation = kNever}, StageKind::kStudent, busy, false, AfterFailure::kFail},
      {"the teacher for a drawn answer", {}, StageKind::kSample, busy, false, AfterFailure::kEscalate},
      {"the student for the teacher", {}, StageKind::kTeacher, busy, false, AfterFailure::kFallBack},
      {"the teacher for the synthesis", {}, StageKind::kSynthesis, busy, false, AfterFailure::kTeacherStands},
      {"nobody for the fallback", {}, StageKind::kFallback, busy, false, AfterFailure::kFail},
      {"nobody, once something was said", {}, StageKind::kTeacher, busy, true, AfterFailure::kFail},
      {"nobody, for a wrong request", {}, StageKind::kStudent, wrong, false, AfterFailure::kFail},
  };
  for (const auto& row : table)
    EXPECT_EQ(after_failure(row.policy, row.failed, row.code, row.started), row.next) << row.name;
  EXPECT_STREQ(to_string(kConfidence), "confidence");
}

TEST(CascadePolicyTest, ABudgetIsUsedUpWhenNothingIsLeft) {
  const llm::Budget all{.usd = 1.0, .tokens = 100, .seconds = 2.0};
  EXPECT_FALSE(why_exhausted({}, {.usd = 1e9, .tokens = 1 << 30, .seconds = 1e9}));
  EXPECT_FALSE(why_exhausted(all, {.usd = 0.99, .tokens = 99, .seconds = 1.99}));
  EXPECT_EQ(why_exhausted(all, {.usd = 1}), "the budget of 1 dollars is used up");
  EXPECT_EQ(why_exhausted(all, {.tokens = 100}), "the budget of 100 tokens is used up");
  EXPECT_EQ(why_exhausted(all, {.seconds = 2}), "the budget of 2 seconds is used up");
}

TEST(CascadePolicyTest, AStageGetsWhatIsLeftAndWhatItsModelTakes) {
  llm::Request request;
  request.budget = {.usd = {}, .tokens = 100, .seconds = 2.0};
  request.knowledge = {"acme"};
  request.max_tokens = 90;
  const llm::Request early = stage_request(request, {.tokens = 5, .seconds = 0.5}, true, 8);
  EXPECT_EQ(early.max_tokens, 90);
  EXPECT_DOUBLE_EQ(*early.budget.seconds, 1.5);
  EXPECT_EQ(early.kv.ratio, 8);
  EXPECT_EQ(early.knowledge.size(), 1U);
  const llm::Request late = stage_request(request, {.tokens = 100, .seconds = 5}, false, 8);
  EXPECT_EQ(late.max_tokens, 1) << "never none: it was asked whether there is any left";
  EXPECT_GT(*late.budget.seconds, 0);
  EXPECT_FALSE(late.kv.ratio);
  EXPECT_TRUE(late.knowledge.empty());
  request.kv.ratio = 2;
  EXPECT_EQ(stage_request(request, {}, true, 8).kv.ratio, 2) << "what was asked for stands";
}

TEST(CascadePolicyTest, ExploresAShareOfTheQuestionsAndTheSameOnesEachTime) {
  int explored = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string question = "question " + std::to_string(i);
    explored += explores(question, 0.25) ? 1 : 0;
    EXPECT_EQ(explores(question, 0.25), explores(question, 0.25));
    EXPECT_FALSE(explores(question, 0));
    EXPECT_TRUE(explores(question, 1));
  }
  EXPECT_NEAR(explored / 2000.0, 0.25, 0.04);
}

}  // namespace
}  // namespace pmt::permutation
