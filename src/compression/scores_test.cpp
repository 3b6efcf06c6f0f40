#include "compression/scores.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "compression/prompt_compression.h"
#include "kernels/f16.h"
#include "kernels/page_layout.h"
#include "model/testing/tiny_model.h"

namespace pmt::compression {
namespace {

constexpr int kTokens = 200;
constexpr int kTables = 4;

class KvScores : public testing::Test {
 protected:
  void SetUp() override {
    transformer_ = std::move(*model::Transformer::load(file_.path(), 1, {}));
    pool_ = std::move(*transformer_->make_pool(std::size_t{16} << 20));
    std::iota(prompt_.begin(), prompt_.end(), 3);
  }

  kv_cache::SequenceKv sequence() const { return {*pool_, transformer_->hparams().kv_shape()}; }

  void read(kv_cache::SequenceKv& to, int end, kv_cache::ScoreBuffer* scores = nullptr, int scored = 0) {
    const auto first = static_cast<std::size_t>(to.tokens());
    model::BatchSpan span{&to, std::span(prompt_).subspan(first, static_cast<std::size_t>(end) - first), {}};
    span.scores = scores;
    span.scored_tokens = scored;
    ASSERT_TRUE(transformer_->forward(*pool_, {&span, 1}));
  }

  const model::testing::TinyModel file_{{.architecture = "llama",
                                         .head_dim = 32,
                                         .layers = 2,
                                         .heads = 4,
                                         .kv_heads = 2,
                                         .context_tokens = 512,
                                         .tokenizer = true}};
  std::unique_ptr<model::Transformer> transformer_;
  std::unique_ptr<kv_cache::PagePool> pool_;
  std::vector<std::int32_t> prompt_ = std::vector<std::int32_t>(kTokens);
};

TEST_F(KvScores, CombiningWeighsTheTextAndLeavesTheQuestion) {
  const QuestionPlace question{50, 60, 68};
  auto agnostic = zero_scores(sequence().shape(), 50);
  std::fill(agnostic.values.begin(), agnostic.values.end(), 0.5F);
  auto by_question = zero_scores(sequence().shape(), 60);
  for (std::size_t table = 0; table < kTables; ++table) {
    by_question.values[table * by_question.stride + 20] = 0.4F;
    by_question.values[table * by_question.stride + 52] = 0.8F;
  }
  const auto out = combine(agnostic, by_question, question, 64);
  const auto at_8 = combine(agnostic, by_question, question, 8);
  for (std::size_t table = 0; table < kTables; ++table) {
    const float* row = out.values.data() + table * out.stride;
    EXPECT_EQ(row[20], 0.2F);
    EXPECT_EQ(row[26], 0.2F) << "spread to its neighbours";
    EXPECT_EQ(row[27], 0) << "and no further";
    EXPECT_EQ(row[49], 0) << "nor from the question into the text";
    EXPECT_EQ(row[52], 0.8F);
    EXPECT_EQ(row[53], 0);
    EXPECT_EQ(row[60], 1);
    const float* whole = at_8.values.data() + table * at_8.stride;
    EXPECT_EQ(whole[26], 0.2F);
    EXPECT_EQ(whole[49], 0);
    EXPECT_EQ(whole[50], 1) << "a small ratio keeps the question";
    EXPECT_EQ(whole[53], 1);
    EXPECT_EQ(row[67], 1);
  }
}

TEST_F(KvScores, ATurnScoresTheTextAsIfItWereAskedNext) {
  auto text = sequence();
  read(text, kTokens);
  const std::vector<std::vector<std::int32_t>> turns = {{5, 6, 7}, {9, 8}};
  const auto scores = score_by_turns(*transformer_, *pool_, text, turns);
  ASSERT_TRUE(scores);
  EXPECT_EQ(text.tokens(), kTokens);

  std::vector<kv_cache::ScoreBuffer> alone;
  for (const auto& turn : turns) {
    auto& own = alone.emplace_back(zero_scores(text.shape(), kTokens));
    auto again = sequence();
    read(again, kTokens);
    model::BatchSpan span{&again, turn, {}};
    span.scores = &own;
    span.scored_tokens = kTokens;
    ASSERT_TRUE(transformer_->forward(*pool_, {&span, 1}));
  }
  for (std::size_t i = 0; i < scores->values.size(); ++i)
    EXPECT_EQ(scores->values[i], std::max(alone[0].values[i], alone[1].values[i])) << i;
}

TEST_F(KvScores, WhatNoTurnLooksAtKeepsALittleOfItsScore) {
  auto agnostic = zero_scores(sequence().shape(), 100);
  std::fill(agnostic.values.begin(), agnostic.values.end(), 0.5F);
  auto by_turns = zero_scores(sequence().shape(), 100);
  for (std::size_t table = 0; table < kTables; ++table) by_turns.values[table * by_turns.stride + 20] = 0.38F;
  weigh_by_turns(agnostic, std::move(by_turns), 100);
  for (std::size_t table = 0; table < kTables; ++table) {
    const float* row = agnostic.values.data() + table * agnostic.stride;
    EXPECT_FLOAT_EQ(row[17], 0.01F);
    for (int t = 18; t <= 22; ++t) EXPECT_FLOAT_EQ(row[t], 0.2F) << t;
    EXPECT_FLOAT_EQ(row[23], 0.01F);
    EXPECT_FLOAT_EQ(row[99], 0.01F);
  }
}

TEST_F(KvScores, ATokensValueCountsByItsLength) {
  auto text = sequence();
  read(text, kTokens);
  const auto scores = score_by_values(text, *pool_);
  ASSERT_EQ(scores.values.size(), kTables * kv_cache::ScoreBuffer::stride_for(kTokens));
  for (std::uint32_t table = 0; table < kTables; ++table) {
    const auto pages = text.table(kv_cache::LayerId(table / 2), kv_cache::KvHeadId(table % 2)).pages;
    const auto length = [&](int t) {
      const std::uint16_t* value =
          kernels::f16_page_values(pool_->data(pages[static_cast<std::size_t>(t / 32)]), 32);
      double squares = 0;
      for (int d = 0; d < 32; ++d) squares += std::pow(kernels::f16_to_f32(value[t % 32 * 32 + d]), 2);
      return std::sqrt(squares);
    };
    const float* row = scores.values.data() + table * scores.stride;
    double mean = 0;
    for (int t = 0; t < kTokens; ++t) {
      EXPECT_NEAR(row[t] / row[0], length(t) / length(0), 1e-3);
      mean += row[t] / double{kTokens};
    }
    EXPECT_NEAR(mean, 1, 1e-4) << "tables compete on equal terms";
  }
}

TEST_F(KvScores, AQuestionAskedAgainScoresTheTextBeforeItsTurn) {
  auto whole = sequence();
  read(whole, kTokens);
  const std::vector<std::int32_t> asked = {5, 6, 7, 9, 8};
  constexpr int kTail = kTokens - 6;
  kv_cache::ReferenceQueries queries;
  const auto scores = score_by_asking_again(*transformer_, *pool_, whole, asked, kTail, queries);
  ASSERT_TRUE(scores);
  EXPECT_EQ(whole.tokens(), kTokens);
  EXPECT_EQ(queries.first, kTail);
  EXPECT_EQ(queries.tokens, 5);

  auto again = sequence();
  read(again, kTail);
  auto own = zero_scores(again.shape(), kTail);
  model::BatchSpan span{&again, asked, {}};
  span.scores = &own;
  span.scored_tokens = kTail;
  ASSERT_TRUE(transformer_->forward(*pool_, {&span, 1}));
  EXPECT_EQ(scores->values, own.values);
}

/// How a prompt of kTokens is read: where its spans end, and which of them score the question.
class Reading : public KvScores {
 protected:
  struct Seen {
    std::vector<int> ends;
    int scoring = 0;  // spans
  };
  Seen seen(const PromptCompression& compression) {
    auto read_so_far = sequence();
    Seen out;
    while (read_so_far.tokens() < kTokens) {
      const int left = kTokens - read_so_far.tokens();
      out.scoring += compression.scores_question(read_so_far) ? 1 : 0;
      read(read_so_far, read_so_far.tokens() + compression.span_tokens(read_so_far, left));
      out.ends.push_back(read_so_far.tokens());
    }
    return out;
  }
  static PromptCompression aware(double ratio, std::optional<PromptQuestion> question) {
    return PromptCompression({Mode::kQueryAware, ratio, kTokens, question});
  }
};

TEST_F(Reading, GoesUpToTheQuestionThenUpToTheTurn) {
  const PromptQuestion question{.first = 170, .end = 188, .tail = 188, .at_end = true};
  EXPECT_EQ(seen(aware(64, question)).ends, (std::vector<int>{170, 188, kTokens}));
  const Seen at_8 = seen(aware(8, question));
  EXPECT_EQ(at_8.ends, (std::vector<int>{170, kTokens})) << "the turn scores nothing of its own";
  EXPECT_EQ(at_8.scoring, 1);
  EXPECT_STREQ(aware(8, question).question(), "at_end");
}

/// The question's tokens look at each other: only the turn says which of them matter.
TEST_F(Reading, OnlyTheTurnScoresTheQuestionItself) {
  PromptCompression compression =
      aware(64, PromptQuestion{.first = 170, .end = 188, .tail = 188, .at_end = true});
  const model::KvPredictor predictor;
  const auto scored = [&](int read_so_far) {
    auto to = sequence();
    read(to, read_so_far);
    model::BatchSpan span{&to, std::span(prompt_).subspan(static_cast<std::size_t>(read_so_far), 1), {}};
    compression.observe(span, &predictor, transformer_->hparams());
    EXPECT_EQ(span.predictor, &predictor);
    return span.scores == nullptr ? 0 : span.scored_tokens;
  };
  EXPECT_EQ(scored(100), 0);
  EXPECT_EQ(scored(170), 170);
  EXPECT_EQ(scored(188), 188);
}

TEST_F(Reading, AShortTurnTakesTheQuestionsLastTokens) {
  const PromptQuestion question{.first = 170, .end = 197, .tail = 197, .at_end = true};
  EXPECT_EQ(seen(aware(64, question)).ends, (std::vector<int>{170, kTokens - 8, kTokens}));
}

TEST_F(Reading, AQuestionFurtherUpIsReadAgainAtTheEnd) {
  const PromptQuestion question{.first = 5, .end = 20, .tail = 195, .at_end = false};
  const PromptCompression compression = aware(64, question);
  const Seen all = seen(compression);
  EXPECT_EQ(all.ends, (std::vector<int>{kTokens}));
  EXPECT_EQ(all.scoring, 0);
  EXPECT_TRUE(compression.reads_more());
  EXPECT_EQ(compression.more_tokens({}), 15 + 5);
  EXPECT_STREQ(compression.question(), "earlier");
}

TEST_F(Reading, WithoutAQuestionQueryAwareTakesThePromptsEnd) {
  const PromptCompression compression = aware(64, std::nullopt);
  EXPECT_EQ(seen(compression).ends, (std::vector<int>{kTokens - 32, kTokens - 8, kTokens}));
  EXPECT_STREQ(compression.question(), "none");
  const PromptCompression automatic({.ratio = 64, .prompt_tokens = 2000, .question = std::nullopt});
  EXPECT_EQ(automatic.mode(), Mode::kQueryAgnostic);
}

TEST_F(Reading, AutoTakesTheModeThatWasMeasuredToKeepMore) {
  Measurement row{.task = "needle", .mode = Mode::kQueryAware, .ratio = 8};
  row.tokens_max = 4096;
  row.by_request = true;
  row.exact_right = row.kept_right = 100;
  Measurement other = row;
  other.mode = Mode::kQueryAgnostic;
  other.kept_right = 90;
  const Quality measured({row, other});
  const PromptQuestion question{.first = 1970, .end = 1990, .tail = 1990, .at_end = true};
  const auto mode = [&](std::optional<PromptQuestion> found, double ratio) {
    const PromptCompression made({Mode::kAuto, ratio, 2000, found, &measured});
    EXPECT_EQ(made.safe_for().size(), made.mode() == Mode::kQueryAware ? 1U : 0U);
    return made.mode();
  };
  EXPECT_EQ(mode(question, 8), Mode::kQueryAware);
  EXPECT_EQ(mode(std::nullopt, 8), Mode::kQueryAgnostic);
  EXPECT_EQ(mode(question, 64), Mode::kQueryAgnostic) << "unmeasured";
}

TEST_F(Reading, WithoutACalibrationNothingIsCalledSafe) {
  Measurement row{.task = "needle", .mode = Mode::kQueryAgnostic, .ratio = 8};
  row.exact_right = row.kept_right = 100;
  const Quality measured({row});
  PromptCompression compression({Mode::kQueryAgnostic, 8, 2000, std::nullopt, &measured});
  EXPECT_EQ(compression.safe_for().size(), 1U);
  EXPECT_TRUE(compression.needs_guesses());
  compression.go_uncalibrated();
  EXPECT_TRUE(compression.safe_for().empty());
  EXPECT_FALSE(compression.needs_guesses()) << "it may go on from a prefix that was read before";
  EXPECT_STREQ(PromptCompression().scores(), "");
}

/// Of an exact prompt; a predictor that comes while it is read is too late.
TEST_F(Reading, GuessesLieBesideAPromptThatWasGuessedWhole) {
  const model::KvPredictor predictor;
  const auto guessed = [&](int first) {
    PromptCompression exact({.mode = Mode::kExact, .prompt_tokens = kTokens});
    for (int at = first; at < kTokens; at += 50) {
      auto to = sequence();
      if (at > 0) read(to, at);
      model::BatchSpan span{&to, std::span(prompt_).subspan(static_cast<std::size_t>(at), 50), {}};
      exact.guess(span, predictor);
      EXPECT_EQ(span.predicted != nullptr, first == 0);
    }
    return exact.guessed();
  };
  const kv_cache::Guessed whole = guessed(0);
  ASSERT_NE(whole, nullptr);
  EXPECT_EQ(whole->tokens, kTokens);
  EXPECT_EQ(guessed(50), nullptr);

  PromptCompression next({.mode = Mode::kExact, .prompt_tokens = kTokens});
  next.take(whole, 150);
  auto to = sequence();
  read(to, 150);
  model::BatchSpan span{&to, std::span(prompt_).subspan(150), {}};
  next.guess(span, predictor);
  EXPECT_NE(next.guessed(), nullptr) << "a prefix's and its own";
}

/// As a request does it: every span observed, then cut down.
TEST_F(Reading, EachKindOfQuestionEndsInACompactSequence) {
  const PromptQuestion places[] = {{.first = 170, .end = 188, .tail = 188, .at_end = true},
                                   {.first = 5, .end = 20, .tail = 195, .at_end = false}};
  model::KvPredictor predictor;
  predictor.width = transformer_->hparams().hidden;
  predictor.weights.assign(static_cast<std::size_t>(kTables) * static_cast<std::size_t>(predictor.width + 1),
                           0.01F);
  const Asides asides{.repeat = {3, 4}, .turns = {{5, 6}, {7}}};
  std::vector<PromptCompression> all = {aware(8, places[0]), aware(8, places[1]),
                                        PromptCompression({Mode::kQueryAgnostic, 8, kTokens, std::nullopt})};
  all.reserve(2 * all.size());
  for (int i = 0; i < 3; ++i) all.emplace_back(all[static_cast<std::size_t>(i)]).go_uncalibrated();
  for (PromptCompression& compression : all) {
    EXPECT_STREQ(compression.scores(), compression.calibrated() ? "calibrated" : "uncalibrated");
    auto read_so_far = sequence();
    while (read_so_far.tokens() < kTokens) {
      const int left = kTokens - read_so_far.tokens();
      const auto count = static_cast<std::size_t>(compression.span_tokens(read_so_far, left));
      model::BatchSpan span{&read_so_far,
                            std::span(prompt_).subspan(static_cast<std::size_t>(read_so_far.tokens()), count),
                            {}};
      compression.observe(span, compression.calibrated() ? &predictor : nullptr, transformer_->hparams());
      EXPECT_EQ(span.predicted != nullptr, compression.calibrated());
      ASSERT_TRUE(transformer_->forward(*pool_, {&span, 1}));
    }
    ASSERT_TRUE(compression.due(read_so_far));
    ASSERT_TRUE(compression.compress(read_so_far, prompt_, asides, *transformer_, *pool_));
    EXPECT_TRUE(read_so_far.compact());
    EXPECT_GT(read_so_far.held().side_tables, 0) << "made up for, to the question's queries";
    EXPECT_EQ(pool_->stats().bytes_used, static_cast<std::size_t>(read_so_far.held().pages))
        << "forks are gone";
  }
}

}  // namespace
}  // namespace pmt::compression
