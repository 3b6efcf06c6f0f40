#include "evals/routing_fit.h"

#include <gtest/gtest.h>

namespace pmt::evals {
namespace {

BothAnswers both(double confidence, bool student, bool teacher) {
  return {.student = {.right = student, .seconds = 1, .usd = 0.1},
          .teacher = {.right = teacher, .by_teacher = true, .seconds = 4, .usd = 2},
          .confidence = confidence};
}

TEST(RoutingFit, AnUnsureStudentCostsToo) {
  EXPECT_FALSE(routed(both(0.7, true, false), 0.6).by_teacher);
  EXPECT_DOUBLE_EQ(routed(both(0.7, true, false), 0.6).seconds, 1);
  const RoutedAnswer escalated = routed(both(0.5, true, false), 0.6);
  EXPECT_TRUE(escalated.by_teacher);
  EXPECT_FALSE(escalated.right);
  EXPECT_DOUBLE_EQ(escalated.seconds, 5);
  EXPECT_DOUBLE_EQ(escalated.usd, 2.1);
}

TEST(RoutingFit, ReliabilityRisesAndPoolsWhatFalls) {
  const Reliability reliability({{0.2, false}, {0.4, true}, {0.5, false}, {0.8, true}, {0.9, true}});
  EXPECT_DOUBLE_EQ(reliability.at(0.1), 0);
  EXPECT_DOUBLE_EQ(reliability.at(0.3), 0);
  EXPECT_DOUBLE_EQ(reliability.at(0.4), 0.5);
  EXPECT_DOUBLE_EQ(reliability.at(0.6), 0.5);
  EXPECT_DOUBLE_EQ(reliability.at(1), 1);
  EXPECT_DOUBLE_EQ(Reliability({}).at(0.7), 0.5);
  EXPECT_DOUBLE_EQ(Reliability({{0.5, false}, {0.5, true}}).at(0.5), 0.5) << "of equal ones, their mean";
}

TEST(RoutingFit, AnErrorOfCalibrationIsTheDistanceInEachBin) {
  EXPECT_DOUBLE_EQ(calibration_error({{0.9, true}, {0.9, false}, {0.1, false}, {0.1, false}}, 2), 0.25);
  EXPECT_DOUBLE_EQ(calibration_error({}, 5), 0);
}

TEST(RoutingFit, RankingIsTheChanceOfTheRightOrder) {
  EXPECT_DOUBLE_EQ(ranking({{0.9, true}, {0.2, false}, {0.5, true}}), 1);
  EXPECT_DOUBLE_EQ(ranking({{0.9, false}, {0.2, true}}), 0);
  EXPECT_DOUBLE_EQ(ranking({{0.9, false}}), 0.5);
}

TEST(RoutingFit, TheThresholdIsTheLowestThatKeepsTheTarget) {
  std::vector<BothAnswers> answers;
  for (int i = 0; i < 100; ++i) {
    const double confidence = (i + 0.5) / 100;
    answers.push_back(both(confidence, confidence > 0.4, true));  // the student is wrong below 0.4
  }
  EXPECT_NEAR(threshold_for(answers, 0.95, 0.5, 1), 0.35, 0.021);
  EXPECT_GT(threshold_for(answers, 0.95, 0.9, 1), threshold_for(answers, 0.95, 0.5, 1)) << "surer, so higher";
  EXPECT_NEAR(threshold_for(answers, 1, 1, 1), 0.4, 0.011);
  for (BothAnswers& one : answers) one.student.right = true;
  EXPECT_DOUBLE_EQ(threshold_for(answers, 0.95, 0.9, 1), 0) << "the teacher is never needed";
  for (BothAnswers& one : answers) one.student.right = false;
  EXPECT_GT(threshold_for(answers, 1, 1, 1), 1) << "the student never does";
  EXPECT_GT(threshold_for({}, 0.95, 0.9, 1), 1);
}

}  // namespace
}  // namespace pmt::evals
