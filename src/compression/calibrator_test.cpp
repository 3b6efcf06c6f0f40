#include "compression/calibrator.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/file.h"
#include "compression/calibration.h"
#include "compression/scores.h"
#include "model/testing/tiny_model.h"

namespace pmt::compression {
namespace {

constexpr int kPieceTokens = 2 * kStretchTokens;  // beside lead-ins of some 80 bytes: two texts
constexpr std::size_t kRoomy = std::size_t{64} << 20;

class CalibratorTest : public testing::Test {
 protected:
  void SetUp() override {
    transformer_ = open(1);
    vocab_ = std::move(*model::Vocab::load(file_.path()));
    pool_ = std::move(*transformer_->make_pool(kRoomy));
    std::filesystem::remove(state_);
  }
  void TearDown() override { std::filesystem::remove(state_); }

  std::unique_ptr<model::Transformer> open(int threads) const {
    return std::move(*model::Transformer::load(file_.path(), threads, {}));
  }
  Calibrator calibrator(const std::string& state = "") {
    return {*transformer_, *vocab_, *pool_, {.piece_tokens = kPieceTokens, .state_path = state}};
  }
  std::string result_of(Calibrator& calibrator, int tokens_max) const {
    for (int steps = 0; steps < 100'000; ++steps) {
      const auto step = calibrator.step(tokens_max);
      EXPECT_TRUE(step) << step.error().message;
      if (!step || *step == Calibrator::Step::kDone) break;
    }
    return calibrator.result() ? to_bytes(*calibrator.result(), *transformer_) : "";
  }
  std::string whole() {
    Calibrator all = calibrator();
    return result_of(all, 256);
  }

  const model::testing::TinyModel file_{{.head_dim = 32,
                                         .layers = 3,
                                         .heads = 4,
                                         .kv_heads = 2,
                                         .context_tokens = 2048,
                                         .weights = GGML_TYPE_Q8_0,  // rows have the same bits in any batch
                                         .tokenizer = true}};
  const std::string state_ = file_.path() + ".kv.part";
  std::unique_ptr<model::Transformer> transformer_;
  std::unique_ptr<model::Vocab> vocab_;
  std::unique_ptr<kv_cache::PagePool> pool_;
};

TEST_F(CalibratorTest, LearnsWhatARepetitionScores) {
  Calibrator one = calibrator();
  ASSERT_FALSE(result_of(one, 64).empty());
  EXPECT_EQ(one.progress(), 1);
  EXPECT_EQ(one.pages_wanted(), 0U);
  EXPECT_EQ(pool_->stats().pages_used, 0U);
  const Calibration& made = *one.result();
  ASSERT_EQ(made.predictor.weights.size(), 3U * 2 * 65);
  EXPECT_GT(made.explained, 0.05) << "of a text that it wasn't fitted on";
  EXPECT_LT(made.explained, 1);

  // On a text of another kind, the guesses go with the scores.
  Tokens text;
  for (int i = 0; i < 300; ++i) text.push_back(3 + (i * i + 7 * i) % 256);
  kv_cache::SequenceKv sequence(*pool_, transformer_->hparams().kv_shape());
  auto guessed = zero_scores(sequence.shape(), 300);
  model::BatchSpan span{&sequence, text, {}};
  span.predictor = &made.predictor;
  span.predicted = &guessed;
  ASSERT_TRUE(transformer_->forward(*pool_, {&span, 1}));
  const auto scores = score_by_repeating(*transformer_, *pool_, sequence, text, Tokens{5, 6});
  ASSERT_TRUE(scores);
  double products = 0, squares = 0, other_squares = 0;
  for (std::size_t table = 0; table < 6; ++table) {
    double mean = 0, other_mean = 0;
    const auto at = [&](const kv_cache::ScoreBuffer& of, std::size_t t) {
      return std::log(double{of.values[table * of.stride + t]} + 1e-5);
    };
    for (std::size_t t = 4; t < 300; ++t) {
      mean += at(guessed, t) / 296;
      other_mean += at(*scores, t) / 296;
    }
    for (std::size_t t = 4; t < 300; ++t) {
      products += (at(guessed, t) - mean) * (at(*scores, t) - other_mean);
      squares += std::pow(at(guessed, t) - mean, 2);
      other_squares += std::pow(at(*scores, t) - other_mean, 2);
    }
  }
  EXPECT_GT(products / std::sqrt(squares * other_squares), 0.15);
}

TEST_F(CalibratorTest, TheCutIntoPiecesDoesntShow) {
  const std::string want = whole();
  ASSERT_FALSE(want.empty());
  Calibrator small = calibrator();
  EXPECT_EQ(result_of(small, 11), want);
  transformer_ = open(2);
  Calibrator more_threads = calibrator();
  EXPECT_EQ(result_of(more_threads, 64), want);
}

TEST_F(CalibratorTest, GoesOnAfterARestart) {
  const std::string want = whole();
  Calibrator one = calibrator(state_);
  double progress = 0;
  int restarts = 0;
  // Ended in every phase: after so many steps, each time anew.
  for (int steps = 40; steps < 4000; steps += steps / 3) {
    Calibrator next = calibrator(state_);
    if (next.progress() > 0) ++restarts;
    EXPECT_GE(next.progress() + 0.35, progress) << "what was written and scored is there";
    for (int i = 0; i < steps; ++i) {
      const auto step = next.step(16);
      ASSERT_TRUE(step);
      if (*step != Calibrator::Step::kDone) continue;
      EXPECT_EQ(to_bytes(*next.result(), *transformer_), want);
      EXPECT_GT(restarts, 2);
      return;
    }
    progress = next.progress();
  }
  FAIL() << "it begins anew each time";
}

TEST_F(CalibratorTest, AStateThatIsntItsOwnIsLeftOut) {
  Calibrator one = calibrator(state_);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(one.step(64));
  auto bytes = *base::read_file(state_);
  ASSERT_GT(calibrator(state_).progress(), 0);
  const auto progress_with = [&](const std::string& damaged) {
    EXPECT_TRUE(base::replace_file(state_, damaged));
    int warnings = 0;
    const Calibrator next(*transformer_, *vocab_, *pool_,
                          {.piece_tokens = kPieceTokens,
                           .state_path = state_,
                           .on_warning = [&](const std::string&) { ++warnings; }});
    EXPECT_EQ(warnings, 1);
    return next.progress();
  };
  EXPECT_EQ(progress_with(bytes.substr(0, bytes.size() - 1)), 0);
  EXPECT_EQ(progress_with(bytes + "x"), 0);
  EXPECT_EQ(progress_with(""), 0);
  std::string other_model = bytes;
  other_model[8] = static_cast<char>(other_model[8] + 1);
  EXPECT_EQ(progress_with(other_model), 0);
  std::string other_lead = bytes;
  other_lead[8 + 24 + 4 + 4 + 8] ^= 1;  // the first piece's third token
  EXPECT_EQ(progress_with(other_lead), 0);
}

TEST_F(CalibratorTest, GivesItsPagesBackAndGoesOn) {
  const std::string want = whole();
  Calibrator one = calibrator();
  int held = 0;
  for (int steps = 0; steps < 100'000; ++steps) {
    const auto step = one.step(24);
    ASSERT_TRUE(step);
    if (*step == Calibrator::Step::kDone) break;
    if (steps % 80 != 79) continue;
    held += one.holds_pages() ? 1 : 0;
    one.give_back();
    EXPECT_FALSE(one.holds_pages());
    EXPECT_EQ(pool_->stats().pages_used, 0U);
  }
  EXPECT_GT(held, 2);
  ASSERT_TRUE(one.result());
  EXPECT_EQ(to_bytes(*one.result(), *transformer_), want);
}

TEST_F(CalibratorTest, LeavesRequestsTheirShareOfThePages) {
  // 2 MiB granules of 4 KiB pages.
  pool_ = std::move(*transformer_->make_pool(std::size_t{8} << 20));
  const std::size_t all = pool_->pages_max();
  std::vector<kv_cache::PageId> taken;
  const auto take = [&](std::size_t leave) {
    while (pool_->pages_free() > leave) taken.push_back(*pool_->allocate(kv_cache::PageSize::kLarge));
  };
  Calibrator one = calibrator();
  take(all / 4);
  EXPECT_EQ(*one.step(64), Calibrator::Step::kNoPages) << "a quarter is left for requests";
  EXPECT_GT(one.pages_wanted(), pool_->pages_free());
  for (const auto page : taken) pool_->release(page);
  taken.clear();
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(*one.step(64), Calibrator::Step::kWorked);
    EXPECT_GE(pool_->pages_free(), all / 4);
  }
  take(0);
  while (*one.step(64) == Calibrator::Step::kWorked) {
  }
  EXPECT_FALSE(one.holds_pages()) << "what it held is free for requests";
  EXPECT_GT(pool_->pages_free(), 0U);
  for (const auto page : taken) pool_->release(page);
  EXPECT_EQ(result_of(one, 64), whole());
}

TEST_F(CalibratorTest, APoolThatCantHoldATextIsSaid) {
  const model::testing::TinyModel large(
      {.head_dim = 32, .layers = 8, .heads = 8, .kv_heads = 4, .context_tokens = 2048, .tokenizer = true});
  const auto transformer = std::move(*model::Transformer::load(large.path(), 1, {}));
  const auto pool = std::move(*transformer->make_pool(std::size_t{2} << 20));
  Calibrator one(*transformer, *vocab_, *pool, {.piece_tokens = kPieceTokens});
  base::Result<Calibrator::Step> step = Calibrator::Step::kWorked;
  for (int i = 0; i < 10'000 && step && *step == Calibrator::Step::kWorked; ++i) step = one.step(64);
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().code, base::Code::kTooLarge);
}

TEST_F(CalibratorTest, TextsAreLongAndOfSeveralPieces) {
  auto pieces = lead_ins(*vocab_);
  for (Tokens& piece : pieces) piece.resize(piece.size() + 192, 70);
  const auto texts = texts_of(pieces, *vocab_);
  EXPECT_EQ(texts.size(), 5U) << "of three pieces each, the last of two";
  std::size_t bos = 0;
  for (const Tokens& text : texts) {
    EXPECT_GT(text.size(), 500U);
    bos += static_cast<std::size_t>(std::count(text.begin(), text.end(), 1));
  }
  EXPECT_EQ(bos, texts.size()) << "only a text begins with <s>";
}

TEST(PieceTokens, AreFewerOfALargeModel) {
  EXPECT_EQ(piece_tokens_for(134'515'008), 896);
  EXPECT_EQ(piece_tokens_for(494'032'768), 576);
  EXPECT_EQ(piece_tokens_for(1'543'714'304), 192);
  EXPECT_EQ(piece_tokens_for(8'000'000'000), 192);
}

TEST_F(CalibratorTest, AStoredCalibrationGoesBeforeAShippedOne) {
  Calibrator one = calibrator();
  const std::string bytes = result_of(one, 64);
  const std::string path = file_.path() + ".kv";
  std::vector<std::string> warnings;
  const auto known = [&](std::string_view shipped) {
    return known_calibration(*transformer_,
                             {.path = path, .shipped = shipped, .on_warning = [&](const std::string& what) {
                                warnings.push_back(what);
                              }});
  };
  EXPECT_EQ(known("").error().code, base::Code::kNotFound);
  EXPECT_EQ(to_bytes(*known(bytes), *transformer_), bytes) << "what came with the product needs no file";
  EXPECT_TRUE(warnings.empty());
  Calibration own = *one.result();
  own.predictor.weights[0] += 1;
  ASSERT_TRUE(save(own, *transformer_, path));
  EXPECT_EQ(known(bytes)->predictor.weights[0], own.predictor.weights[0]);
  ASSERT_TRUE(base::replace_file(path, bytes.substr(0, bytes.size() - 4)));
  EXPECT_EQ(known(bytes)->predictor.weights[0], one.result()->predictor.weights[0]);
  EXPECT_EQ(warnings.size(), 1U);
  EXPECT_EQ(known("nonsense").error().code, base::Code::kNotFound);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace pmt::compression
