// A model that nobody has calibrated: its first compressed request is answered at once, and the calibration is made
// between requests, beside streams, and over restarts. On a tiny random model.
#include "inference/background_calibration.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "compression/calibration.h"
#include "inference/local_model.h"
#include "llm/sinks.h"
#include "model/testing/tiny_model.h"
#include "model/transformer.h"

namespace pmt::inference {
namespace {

using State = CalibrationStatus::State;

const base::SystemClock kClock;
constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr int kPieceTokens = 64;

class BackgroundCalibrationTest : public testing::Test {
 protected:
  void SetUp() override { forget(); }
  void TearDown() override {
    model_.reset();
    forget();
  }
  void forget() const {
    std::filesystem::remove(path_);
    std::filesystem::remove(compression::state_path_of(path_));
  }

  void open(std::size_t kv_bytes = 32 * kMiB, double kv_ratio = 1, bool calibrates_first = false) {
    model_.reset();
    LocalModelOptions options;
    options.name = "tiny";
    options.path = model_path_;
    options.threads = 1;
    options.kv_bytes_max = kv_bytes;
    options.prefix_bytes_max = kv_bytes / 2;
    options.prefill_chunk_tokens = 128;
    options.kv_ratio = kv_ratio;
    options.calibration_path = path_;
    options.calibration_piece_tokens = kPieceTokens;
    options.calibrates_first = calibrates_first;
    options.on_warning = [this](const std::string& what) { warnings_.push_back(what); };
    auto loaded = LocalModel::load(std::move(options), kClock);
    ASSERT_TRUE(loaded) << loaded.error().message;
    model_ = std::move(*loaded);
  }

  std::shared_ptr<llm::CollectingSink> start(int prompt_tokens, double ratio, int new_tokens = 4,
                                             int first_token = 3) const {
    llm::Request request;
    request.endpoint = llm::Endpoint::kCompletions;
    for (int i = 0; i < prompt_tokens; ++i) request.prompt_tokens.push_back(3 + (first_token + i * i) % 256);
    request.max_tokens = new_tokens;
    request.ignore_eos = true;
    request.sampling.temperature = 0;
    request.kv = {ratio, ratio > 1 ? llm::KvMode::kQueryAgnostic : llm::KvMode::kExact};
    auto sink = std::make_shared<llm::CollectingSink>();
    model_->start(std::move(request), sink, {});
    return sink;
  }
  static llm::KvReport report_of(llm::CollectingSink& sink) {
    const auto events = sink.wait();
    const auto* done = std::get_if<llm::Done>(&events.back());
    EXPECT_NE(done, nullptr);
    return done != nullptr && done->report.kv ? *done->report.kv : llm::KvReport{};
  }
  llm::KvReport ask(double ratio, int first_token = 3, int prompt_tokens = 300) const {
    return report_of(*start(prompt_tokens, ratio, 4, first_token));
  }

  template <class Condition>
  bool becomes(const Condition& condition) const {
    for (int i = 0; i < 6000; ++i) {
      if (condition(model_->calibration())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool gets_ready() const {
    return becomes([](const CalibrationStatus& status) { return status.state == State::kReady; });
  }

  const model::testing::TinyModel file_{{.head_dim = 32,
                                         .heads = 4,
                                         .kv_heads = 2,
                                         .context_tokens = 2048,
                                         .weights = GGML_TYPE_Q8_0,  // rows have the same bits in any batch
                                         .tokenizer = true}};
  std::string model_path_ = file_.path();
  const std::string path_ = file_.path() + ".kv";
  std::vector<std::string> warnings_;
  std::unique_ptr<LocalModel> model_;
};

TEST_F(BackgroundCalibrationTest, AnAnswerNeverWaitsForIt) {
  open();
  EXPECT_EQ(ask(1).scores, "") << "nothing is chosen";
  EXPECT_EQ(model_->calibration().state, State::kNone) << "nobody wants it";
  const llm::KvReport first = ask(8);
  EXPECT_EQ(first.mode, "query_agnostic");
  EXPECT_EQ(first.scores, "uncalibrated");
  EXPECT_GT(first.ratio_achieved, 1.5);
  ASSERT_TRUE(gets_ready());
  EXPECT_EQ(model_->calibration().progress, 1);
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_FALSE(std::filesystem::exists(compression::state_path_of(path_)));
  const llm::KvReport second = ask(8);
  EXPECT_EQ(second.scores, "calibrated");
  // What was cut without a calibration is kept apart; what was read exactly has no guesses beside it.
  EXPECT_EQ(second.prefix_tokens_reused, 0);
  open();
  EXPECT_EQ(model_->calibration().state, State::kReady) << "from the file";
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(BackgroundCalibrationTest, WithoutACalibrationAnExactPrefixServesAsItIs) {
  open();
  auto exact = start(300, 1);
  exact->wait();
  const llm::KvReport kv = ask(8);
  EXPECT_EQ(kv.scores, "uncalibrated");
  EXPECT_GT(kv.prefix_tokens_reused, 200) << "values need no guesses that lie beside them";
}

/// The same predictor as one that is made at once, whatever came between.
TEST_F(BackgroundCalibrationTest, ComesToTheSameBesideAStream) {
  open();
  ask(8);
  int streams = 0;
  while (model_->calibration().state != State::kReady && streams < 400) {
    start(40 + streams, 1, 60, streams)->wait();
    ++streams;
    const CalibrationStatus status = model_->calibration();
    EXPECT_NE(status.state, State::kFailed);
    EXPECT_GE(status.progress, 0);
  }
  EXPECT_GE(streams, 1);
  ASSERT_TRUE(gets_ready());
  const auto transformer = std::move(*model::Transformer::load(file_.path(), 1, {}));
  const auto vocab = std::move(*model::Vocab::load(file_.path()));
  const auto made = compression::load_calibration(*transformer, path_);
  ASSERT_TRUE(made);
  const auto at_once = compression::calibrate(*transformer, *vocab, {.piece_tokens = kPieceTokens});
  ASSERT_TRUE(at_once);
  EXPECT_EQ(made->predictor.weights, at_once->predictor.weights);
  EXPECT_EQ(made->explained, at_once->explained);
}

TEST_F(BackgroundCalibrationTest, GoesOnWithWhatAnEarlierProcessHasDone) {
  open(32 * kMiB, 8);
  const auto well_begun = [this] {
    return becomes([](const CalibrationStatus& status) { return status.progress > 0.3; });
  };
  ASSERT_TRUE(well_begun()) << "models that compress by default begin at once";
  open();
  const CalibrationStatus status = model_->calibration();
  EXPECT_NE(status.state, State::kNone) << "nobody need ask for it again";
  EXPECT_GT(status.progress, 0.1);
  ASSERT_TRUE(gets_ready());
}

TEST_F(BackgroundCalibrationTest, RequestsGetThePagesThatItHolds) {
  // 512 pages: the pieces take half of them, prefixes the other, and each of the prompts 92.
  open(2 * kMiB);
  ask(8);
  for (int i = 0; i < 20; ++i) {
    const llm::KvReport kv = report_of(*start(700, 1, 4, i));
    EXPECT_GE(kv.tokens_total, 700);
  }
  EXPECT_EQ(model_->stats().failed, 0U);
  ASSERT_TRUE(gets_ready()) << "prefixes make room once nobody asks";
  EXPECT_EQ(model_->kv_stats().sequences, 0);
}

TEST_F(BackgroundCalibrationTest, APoolThatIsTooSmallIsSaidAndRequestsGoOn) {
  const model::testing::TinyModel large(
      {.head_dim = 32, .layers = 8, .heads = 8, .kv_heads = 4, .context_tokens = 2048, .tokenizer = true});
  model_path_ = large.path();
  open(2 * kMiB);
  EXPECT_EQ(ask(8, 3, 200).scores, "uncalibrated");
  ASSERT_TRUE(becomes([](const CalibrationStatus& status) { return status.state == State::kFailed; }));
  EXPECT_EQ(warnings_.size(), 1U);
  EXPECT_EQ(ask(8, 9, 200).scores, "uncalibrated");
  EXPECT_EQ(model_->stats().failed, 0U);
}

TEST(CalibrationSlices, WhoMeasuresMayDoWithout) {
  const model::testing::TinyModel file{{.head_dim = 32, .tokenizer = true}};
  const auto transformer = std::move(*model::Transformer::load(file.path(), 1, {}));
  const auto vocab = std::move(*model::Vocab::load(file.path()));
  const auto pool = std::move(*transformer->make_pool(32 * kMiB));
  LocalModelOptions options;
  options.kv_ratio = 8;
  options.calibrates = false;
  BackgroundCalibration calibration(*transformer, *vocab, *pool, std::nullopt, options, kClock);
  calibration.want();
  EXPECT_FALSE(calibration.has_work());
  EXPECT_EQ(calibration.pause(), std::nullopt) << "the thread sleeps until somebody asks";
  EXPECT_EQ(calibration.status().state, State::kNone);
}

TEST_F(BackgroundCalibrationTest, WhoMeasuresMayWaitForIt) {
  open(32 * kMiB, 1, true);
  EXPECT_EQ(model_->calibration().state, State::kReady);
  EXPECT_EQ(ask(8).scores, "calibrated");
}

/// The share of the time that slices take beside requests, by a clock that only they move.
TEST(CalibrationSlices, TakeNoMoreThanTheStepsBesideThem) {
  const model::testing::TinyModel file{{.head_dim = 32, .tokenizer = true}};
  const auto transformer = std::move(*model::Transformer::load(file.path(), 1, {}));
  const auto vocab = std::move(*model::Vocab::load(file.path()));
  const auto pool = std::move(*transformer->make_pool(32 * kMiB));
  LocalModelOptions options;
  options.kv_ratio = 8;  // wants it from the beginning
  options.calibration_piece_tokens = kPieceTokens;
  BackgroundCalibration calibration(*transformer, *vocab, *pool, std::nullopt, options, kClock);
  ASSERT_TRUE(calibration.has_work());
  constexpr base::Nanos kStep = std::chrono::milliseconds(4);
  base::Nanos steps{0}, slices{0};
  double progress = 0;
  for (int i = 0; i < 100'000 && progress < 0.05; ++i) {
    ASSERT_TRUE(calibration.has_work());
    const base::Nanos begin = kClock.now();
    calibration.run_beside(kStep);
    slices += kClock.now() - begin;
    steps += kStep;
    EXPECT_GE(calibration.status().progress, progress);
    progress = calibration.status().progress;
  }
  EXPECT_GE(progress, 0.05);
  // A slice may pass its budget by a step of the calibrator; the next one waits for that.
  EXPECT_LT(slices, steps + std::chrono::milliseconds(100));
}

}  // namespace
}  // namespace pmt::inference
