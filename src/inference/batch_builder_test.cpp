#include "inference/batch_builder.h"

#include <algorithm>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::inference {

void PrintTo(const ChosenSpan& span, std::ostream* out) {
  *out << "{choice " << span.choice << ", " << span.tokens << " tokens"
       << (span.samples ? ", samples}" : "}");
}

namespace {

/// Being answered: its last token is to be read, with `drafted` more.
ChoiceView answered(std::size_t job, int drafted = 0) {
  return {.job = job, .unread = 1, .drafted = drafted, .span_tokens_max = 1, .prompt_shared = true};
}
/// A prompt that is read, with so many tokens to go.
ChoiceView reading(std::size_t job, int unread) {
  return {.job = job, .unread = unread, .span_tokens_max = unread};
}
ChoiceView with_span_max(ChoiceView view, int tokens) {
  view.span_tokens_max = tokens;
  return view;
}
ChoiceView suspect(ChoiceView view) {
  view.suspect = true;
  return view;
}
ChoiceView asking(ChoiceView view) {
  view.scores_question = true;
  return view;
}
ChoiceView echoing(ChoiceView view) {
  view.scores_prompt = true;
  return view;
}
/// The job's choice at `generation`.
ChoiceView at(std::size_t generation, ChoiceView view) {
  view.generation = generation;
  return view;
}
ChoiceView forked(ChoiceView view) {
  view.prompt_shared = true;
  return view;
}

struct Case {
  std::string name;
  std::vector<ChoiceView> choices;
  std::vector<ChosenSpan> expected;
  BatchLimits limits = {.prefill_chunk_tokens = 512, .scored_rows_max = 100};
};

const std::vector<Case> kCases = {
    {"NothingRuns", {}, {}},
    {"APromptTakesTheWholeChunk", {reading(0, 2000)}, {{0, 512, false}}},
    {"APromptsEndIsSampled", {reading(0, 512)}, {{0, 512, true}}},
    {"TheOldestPromptIsReadFirst",
     {reading(0, 300), reading(1, 300), reading(2, 300)},
     {{0, 300, true}, {1, 212, false}}},
    {"AnsweredOnesStandFirst", {reading(0, 50), answered(1)}, {{1, 1, true}, {0, 50, true}}},
    {"WhoIsAnsweredWaitsForLessOfAPrompt", {answered(0), reading(1, 2000)}, {{0, 1, true}, {1, 128, false}}},
    {"ASmallChunkStaysSmallBesideAnswers",
     {answered(0), reading(1, 2000)},
     {{0, 1, true}, {1, 64, false}},
     {.prefill_chunk_tokens = 64, .scored_rows_max = 100}},
    {"DraftsRideAlongAndCostNoBudget",
     {answered(0, 8), answered(1, 3), reading(2, 200)},
     {{0, 9, true}, {1, 4, true}, {2, 128, false}}},
    {"APromptOfOneTokenIsAnAnswersFirst", {reading(0, 1), reading(1, 9)}, {{0, 1, true}, {1, 9, true}}},

    {"TheFirstChoiceReadsForAll",
     {reading(0, 30), at(1, reading(0, 30)), at(2, reading(0, 30))},
     {{0, 30, true}}},
    {"ForkedChoicesReadForThemselves",
     {forked(reading(0, 30)), at(1, forked(reading(0, 31)))},
     {{0, 30, true}, {1, 31, true}}},
    {"ForkedChoicesAreAllAnswered", {answered(0), at(1, answered(0))}, {{0, 1, true}, {1, 1, true}}},

    {"ASpanEndsWhereCompressionSays",
     {with_span_max(reading(0, 700), 100), reading(1, 700)},
     {{0, 100, false}, {1, 412, false}}},
    {"OneQuestionIsScoredABatch",
     {asking(reading(0, 40)), asking(reading(1, 50)), reading(2, 60)},
     {{0, 40, true}, {2, 60, true}}},
    {"ALastTokenThatIsScoredGoesBeforeAPrompt",
     {asking(reading(0, 40)), asking(reading(1, 1))},
     {{1, 1, true}}},
    {"OfTwoLastTokensOneIsScored", {asking(reading(0, 1)), asking(reading(1, 1))}, {{0, 1, true}}},
    {"WhatFindsNoBudgetDoesntTakeTheQuestionsPlace",
     {reading(0, 600), asking(reading(1, 40))},
     {{0, 512, false}}},
    {"AQuestionThatFindsNoRowsLetsTheNextOneIn",
     {echoing(reading(0, 10)), asking(echoing(reading(1, 40))), asking(reading(2, 50))},
     {{0, 10, true}, {2, 50, true}},
     {.prefill_chunk_tokens = 512, .scored_rows_max = 10}},

    {"EchoedPromptsShareTheRows",
     {echoing(reading(0, 70)), echoing(reading(1, 70)), echoing(reading(2, 70))},
     {{0, 70, true}, {1, 30, false}}},
    {"OthersAreReadBesideEchoedOnes",
     {echoing(reading(0, 500)), reading(1, 500)},
     {{0, 100, false}, {1, 412, false}}},
    {"EchoedOnesTakeFromTheChunkToo",
     {reading(0, 480), echoing(reading(1, 90))},
     {{0, 480, true}, {1, 32, false}}},

    {"ASuspectStepsAlone",
     {answered(0), suspect(reading(1, 40)), answered(2), reading(3, 9)},
     {{1, 40, true}}},
    {"OfTwoSuspectsTheOldest", {suspect(reading(0, 7)), suspect(answered(1))}, {{0, 7, true}}},
    {"ASuspectWithAllItsChoices",
     {answered(0), suspect(forked(reading(1, 20))), at(1, suspect(forked(reading(1, 22))))},
     {{1, 20, true}, {2, 22, true}}},
    {"ASuspectsChoicesWaitForItsPromptAsAnyones",
     {answered(0), suspect(reading(1, 20)), at(1, suspect(reading(1, 20)))},
     {{1, 20, true}}},
    {"ASuspectHasTheWholeChunk", {answered(0), suspect(reading(1, 2000))}, {{1, 512, false}}},
};

class BatchBuilderTable : public testing::TestWithParam<Case> {};

TEST_P(BatchBuilderTable, Chooses) {
  EXPECT_EQ(choose_spans(GetParam().choices, GetParam().limits), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(Table, BatchBuilderTable, testing::ValuesIn(kCases),
                         [](const auto& each) { return each.param.name; });

/// Any mix of jobs, none of them suspect: the rules of the header, one by one.
TEST(BatchBuilder, KeepsItsRulesOnAnyMix) {
  std::mt19937 rng(29);
  const auto below = [&rng](int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 2000; ++round) {
    std::vector<ChoiceView> choices;
    for (int job = 0, jobs = 1 + below(6); job < jobs; ++job) {
      const bool shared = below(2) == 0;
      for (int i = 0, count = 1 + below(3); i < count; ++i) {
        ChoiceView view{.job = static_cast<std::size_t>(job), .generation = static_cast<std::size_t>(i)};
        view.unread = below(2) == 0 ? 1 : 1 + below(900);
        view.drafted = view.unread == 1 ? below(4) : 0;
        view.span_tokens_max = 1 + below(view.unread);
        view.prompt_shared = shared;
        view.scores_question = below(4) == 0;
        view.scores_prompt = i == 0 && below(4) == 0;
        choices.push_back(view);
      }
    }
    const BatchLimits limits{.prefill_chunk_tokens = 1 + below(600), .scored_rows_max = 1 + below(200)};
    const auto spans = choose_spans(choices, limits);
    ASSERT_FALSE(spans.empty()) << "something always advances";
    std::set<std::size_t> seen;
    int prompts = 0, scored = 0, questions = 0;
    bool answers = false, reads = false;
    for (const ChosenSpan& span : spans) {
      const ChoiceView& choice = choices.at(span.choice);
      EXPECT_TRUE(seen.insert(span.choice).second) << "a choice twice";
      EXPECT_TRUE(choice.prompt_shared || choice.generation == 0);
      questions += choice.scores_question ? 1 : 0;
      if (choice.unread == 1) {
        EXPECT_FALSE(reads) << "answers come first";
        EXPECT_EQ(span.tokens, 1 + choice.drafted);
        EXPECT_TRUE(span.samples);
        answers = true;
        continue;
      }
      reads = true;
      EXPECT_GE(span.tokens, 1);
      EXPECT_LE(span.tokens, choice.span_tokens_max);
      EXPECT_EQ(span.samples, span.tokens == choice.unread);
      prompts += span.tokens;
      scored += choice.scores_prompt ? span.tokens : 0;
    }
    EXPECT_LE(questions, 1);
    EXPECT_LE(scored, limits.scored_rows_max);
    EXPECT_LE(prompts, answers ? std::min(limits.prefill_chunk_tokens, 128) : limits.prefill_chunk_tokens);
  }
}

}  // namespace
}  // namespace pmt::inference
