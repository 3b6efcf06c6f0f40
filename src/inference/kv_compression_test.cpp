#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "compression/calibration.h"
#include "inference/local_model.h"
#include "llm/sinks.h"
#include "model/transformer.h"

namespace pmt::inference {
namespace {

const base::SystemClock kClock;

/// In the build folder, so that calibrating costs its minute once and not in every test's process.
const char* const kCalibrationFile = "kv_compression_test.kv";

/// Of 90 tables, each with 2 * 64 halves and two floats; the rest of what is held are pages.
constexpr std::int64_t kSummaryBytes = 90 * (2 * 64 * 2 + 8);

/// About 17 tokens a line.
std::string list_prompt(int lines) {
  std::string text = "This is the list of crates.\n";
  for (int i = 0; i < lines; ++i) {
    text += "Crate " + std::to_string(i) + " holds " + std::to_string(i * 7 % 31) + " brass lamps.\n";
  }
  return text + "How many brass lamps does crate 3 hold?";
}

llm::Request ask(const std::string& prompt, std::optional<double> ratio,
                 llm::KvMode mode = llm::KvMode::kAuto) {
  llm::Request request;
  request.messages.push_back({"user", prompt, "", {}, ""});
  request.sampling.temperature = 0;
  request.max_tokens = 24;
  request.kv = {ratio, mode};
  return request;
}

struct Started {
  std::shared_ptr<llm::CollectingSink> sink = std::make_shared<llm::CollectingSink>();
  base::CancelToken cancel;
};

Started start(LocalModel& model, llm::Request request) {
  Started out;
  model.start(std::move(request), out.sink, out.cancel);
  return out;
}

struct Answer {
  std::string text;
  llm::Done done;
};

Answer wait(Started started) {
  const auto events = started.sink->wait();
  const auto* done = std::get_if<llm::Done>(&events.back());
  EXPECT_NE(done, nullptr) << "it did not finish";
  return {llm::text_of(events), done != nullptr ? *done : llm::Done{}};
}

class KvCompressionTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("PERMUTATION_MODEL");
    if (path == nullptr || *path == '\0') GTEST_SKIP() << "PERMUTATION_MODEL names no model";
  }

  static std::unique_ptr<LocalModel> load(std::size_t kv_bytes_max = 256U << 20, double ratio = 1) {
    LocalModelOptions options;
    options.name = "smollm2";
    options.path = std::getenv("PERMUTATION_MODEL");
    options.threads = 2;
    options.kv_bytes_max = kv_bytes_max;
    options.prefix_bytes_max = 0;  // so that idle means empty
    options.calibration_path = kCalibrationFile;
    options.calibrates_first = true;
    options.kv_ratio = ratio;
    auto model = LocalModel::load(std::move(options), kClock);
    EXPECT_TRUE(model) << model.error().message;
    return std::move(*model);
  }

  static void expect_idle(const LocalModel& model) {
    for (int i = 0; i < 500 && model.kv_stats().pages_used > 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(model.kv_stats().pages_used, 0);
    EXPECT_EQ(model.kv_stats().bytes, 0);
    EXPECT_LE(model.kv_stats().bytes_resident, 8 << 20) << "what the pool keeps warm";
  }
};

TEST_F(KvCompressionTest, ReportsWhatThePoolHeld) {
  auto model = load();
  const std::string prompt = list_prompt(110);
  for (const auto mode : {llm::KvMode::kQueryAgnostic, llm::KvMode::kQueryAware}) {
    const std::string name = mode == llm::KvMode::kQueryAware ? "query_aware" : "query_agnostic";
    for (const double ratio : {8.0, 32.0}) {
      const llm::KvReport kv = *wait(start(*model, ask(prompt, ratio, mode))).done.report.kv;
      EXPECT_EQ(kv.mode, name);
      EXPECT_EQ(kv.question, mode == llm::KvMode::kQueryAware ? "at_end" : "none")
          << "it isn't looked for in vain";
      EXPECT_EQ(kv.ratio_target, ratio);
      EXPECT_EQ(kv.scores, "calibrated");
      // Each head's exact page, where the answer's own tokens go too, comes on top.
      EXPECT_GT(kv.ratio_achieved, ratio == 8 ? 5.5 : 13) << name << ratio;
      EXPECT_LT(kv.ratio_achieved, ratio * 1.1) << name << ratio;
      if (ratio == 8) {
        EXPECT_EQ((kv.bytes - kSummaryBytes) % 2048, 0);
      }
      EXPECT_LT(kv.tokens_kept, kv.tokens_total * 4.5 / ratio + 32);
    }
  }
  const EngineStats stats = model->stats();
  EXPECT_EQ(stats.compressed, 4U);
  EXPECT_GT(stats.evicted_tokens, stats.compressed_tokens / 2);
  expect_idle(*model);
}

TEST_F(KvCompressionTest, AutoIsExactForShortPromptsAndAsMeasuredForLongOnes) {
  auto model = load(256U << 20, 8);
  const auto mode_of = [&](int lines) {
    return wait(start(*model, ask(list_prompt(lines), std::nullopt))).done.report.kv->mode;
  };
  EXPECT_EQ(mode_of(20), "exact");
  EXPECT_EQ(mode_of(90), "query_aware") << "data/kv_quality.json: it kept more at this length";
  EXPECT_EQ(mode_of(200), "query_aware") << "likewise";
  EXPECT_EQ(mode_of(400), "query_agnostic") << "no request of this length was measured";
  const auto exact = wait(start(*model, ask(list_prompt(90), std::nullopt, llm::KvMode::kExact)));
  EXPECT_EQ(exact.done.report.kv->mode, "exact");
  EXPECT_EQ(exact.done.report.kv->ratio_target, 1);
}

TEST_F(KvCompressionTest, ExactAnswersDontDependOnCompressedNeighbours) {
  auto model = load();
  const std::string alone = wait(start(*model, ask(list_prompt(80), 1))).text;
  const std::string compressed = wait(start(*model, ask(list_prompt(100), 16))).text;
  std::vector<Started> started;
  for (int i = 0; i < 3; ++i) {
    started.push_back(start(*model, ask(list_prompt(80), 1)));
    started.push_back(start(*model, ask(list_prompt(100), 16)));
  }
  for (std::size_t i = 0; i < started.size(); ++i)
    EXPECT_EQ(wait(started[i]).text, i % 2 == 0 ? alone : compressed) << i;
  expect_idle(*model);
}

TEST_F(KvCompressionTest, ChoicesShareTheCompressedPrompt) {
  auto model = load();
  llm::Request request = ask(list_prompt(100), 8, llm::KvMode::kQueryAgnostic);
  const std::string one = wait(start(*model, request)).text;
  request.n = 3;
  const Answer answer = wait(start(*model, request));
  EXPECT_EQ(answer.done.report.kv->mode, "query_agnostic");
  EXPECT_GT(answer.done.report.kv->ratio_achieved, 3.5) << "each choice has exact pages of its own";
  EXPECT_EQ((answer.done.report.kv->bytes - kSummaryBytes) % 2048, 0) << "the summaries count once";
  EXPECT_EQ(answer.text.rfind(one, 0), 0U) << "the first choice is the single answer";
  expect_idle(*model);
}

TEST_F(KvCompressionTest, ARandomTraceLeavesThePoolIdle) {
  // Room for about one and a half of the longest prompts: requests wait, are pre-empted and read again.
  auto model = load(64U << 20);
  std::mt19937 rng(9);
  std::vector<Started> started;
  for (int i = 0; i < 24; ++i) {
    const double ratios[] = {1, 2, 8, 64};
    llm::Request request = ask(list_prompt(10 + static_cast<int>(rng() % 90)), ratios[rng() % 4],
                               rng() % 2 == 0 ? llm::KvMode::kQueryAware : llm::KvMode::kQueryAgnostic);
    request.n = rng() % 5 == 0 ? 2 : 1;
    request.max_tokens = 1 + static_cast<int>(rng() % 30);
    started.push_back(start(*model, std::move(request)));
    if (rng() % 3 == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(rng() % 400));
      started[rng() % started.size()].cancel.cancel();
    }
  }
  for (Started& each : started) {
    const auto events = each.sink->wait();
    const bool done = std::holds_alternative<llm::Done>(events.back());
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    EXPECT_TRUE(done || (failed != nullptr && failed->error.code == base::Code::kCancelled));
  }
  expect_idle(*model);
  EXPECT_EQ(model->stats().failed, 0U);
}

TEST_F(KvCompressionTest, ADamagedCalibrationIsRefused) {
  load(256U << 20, 8);  // the file is there now
  const auto transformer = std::move(*model::Transformer::load(std::getenv("PERMUTATION_MODEL"), 2, {}));
  const auto whole = compression::load_calibration(*transformer, kCalibrationFile);
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_GT(whole->explained, 0.1) << "the predictor sees what matters in a text it wasn't fitted on";

  const std::string copy = testing::TempDir() + "damaged.kv";
  std::filesystem::copy_file(kCalibrationFile, copy, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::resize_file(copy, std::filesystem::file_size(copy) / 2);
  const auto half = compression::load_calibration(*transformer, copy);
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().code, base::Code::kCorrupt);
  std::filesystem::remove(copy);
  EXPECT_EQ(compression::load_calibration(*transformer, copy).error().code, base::Code::kNotFound);
}

}  // namespace
}  // namespace pmt::inference
