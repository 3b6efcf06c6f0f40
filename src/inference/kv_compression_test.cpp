#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "compression/calibration.h"
#include "inference/decoding_request.h"
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
    return load_with([&](LocalModelOptions& options) {
      options.kv_bytes_max = kv_bytes_max;
      options.kv_ratio = ratio;
    });
  }
  static std::unique_ptr<LocalModel> load_with(const std::function<void(LocalModelOptions&)>& change) {
    LocalModelOptions options;
    options.name = "smollm2";
    options.path = std::getenv("PERMUTATION_MODEL");
    options.threads = 2;
    options.kv_bytes_max = 256U << 20;
    options.prefix_bytes_max = 0;  // so that idle means empty
    options.calibration_path = kCalibrationFile;
    options.calibrates_first = true;
    change(options);
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

/// An answer of `tokens` tokens to a short prompt, of which the last 64 stay as they were written.
llm::Request write(const std::string& prompt, double ratio, int tokens, bool decoding = true) {
  llm::Request request = ask(prompt, ratio);
  request.options.set(DecodingRequest{decoding});
  request.max_tokens = tokens;
  request.ignore_eos = true;
  return request;
}

TEST_F(KvCompressionTest, WhatIsWrittenStaysAtTheRatio) {
  auto model = load_with([](LocalModelOptions& options) { options.kv_recent_tokens = 64; });
  const std::string prompt = "Count upwards from one, each number in words.";
  for (const double ratio : {4.0, 8.0}) {
    const llm::KvReport kv = *wait(start(*model, write(prompt, ratio, 1500))).done.report.kv;
    EXPECT_EQ(kv.mode, "query_agnostic");
    EXPECT_EQ(kv.ratio_target, ratio);
    EXPECT_GT(kv.ratio_achieved, ratio == 4 ? 3.3 : 5.5) << "the window and the prompt weigh most at 8";
    EXPECT_LT(kv.ratio_achieved, ratio * 1.05);
    if (ratio == 4) {
      EXPECT_EQ(kv.tokens_kept, kv.tokens_total);
    } else {
      EXPECT_LT(kv.tokens_kept, kv.tokens_total * 6 / 10);
    }
    EXPECT_EQ(wait(start(*model, write(prompt, ratio, 300, false))).done.report.kv->mode, "exact");
  }
  EXPECT_EQ(model->stats().compressed, 2U);
  EXPECT_GT(model->stats().decoding_compressed_tokens, 2500U);
  expect_idle(*model);
}

TEST_F(KvCompressionTest, WhatIsWrittenIsTheSameWhateverElseRuns) {
  const auto recent = [](LocalModelOptions& options) { options.kv_recent_tokens = 64; };
  auto model = load_with(recent);
  const std::string prompt =
      "Write the numbers from one to a hundred, then again. One, two, three, one, two, three,";
  llm::Request plain = write(prompt, 8, 700);
  plain.speculation = llm::Speculation::kOff;
  const std::string alone = wait(start(*model, plain)).text;
  const Answer drafted = wait(start(*model, write(prompt, 8, 700)));
  EXPECT_GT(drafted.done.report.speculation->accepted, 0);
  EXPECT_EQ(drafted.text, alone) << "drafts go back behind nothing that was compressed";

  // Room for one of them and a part of the other: the younger is pre-empted, and reads what it wrote again.
  auto narrow = load_with([&](LocalModelOptions& options) {
    recent(options);
    options.kv_bytes_max = 14U << 20;
  });
  std::vector<Started> started;
  for (int i = 0; i < 3; ++i) started.push_back(start(*narrow, write(prompt, 8, 700)));
  for (Started& each : started) EXPECT_EQ(wait(each).text, alone);
  EXPECT_GT(narrow->stats().steps, 700U);
  expect_idle(*narrow);
}

TEST_F(KvCompressionTest, TheNextTurnGoesOnFromWhatWasCompressed) {
  auto model = load_with([](LocalModelOptions& options) {
    options.kv_recent_tokens = 64;
    options.prefix_bytes_max = 64U << 20;
  });
  llm::Request request = write("Tell me of the sea.", 4, 600);
  request.ignore_eos = false;
  request.min_tokens = 500;
  const Answer first = wait(start(*model, request));
  request.messages.push_back({"assistant", first.text, "", {}, ""});
  request.messages.push_back({"user", "Go on.", "", {}, ""});
  const llm::KvReport second = *wait(start(*model, request)).done.report.kv;
  EXPECT_GT(second.prefix_tokens_reused, 400) << "it isn't read again";
  EXPECT_GT(second.ratio_achieved, 3);
  llm::Request exact = request;
  exact.kv = {1.0, llm::KvMode::kExact};
  exact.options.set(DecodingRequest{});
  const llm::KvReport third = *wait(start(*model, exact)).done.report.kv;
  EXPECT_LT(third.prefix_tokens_reused, 100) << "nobody else gets coded pages";
  EXPECT_EQ(third.mode, "exact");
}

TEST_F(KvCompressionTest, DecodingNeedsARatioOfFour) {
  auto model = load();
  for (const double ratio : {1.0, 2.0}) {
    const auto events = start(*model, write("Hello.", ratio, 8)).sink->wait();
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->error.code, base::Code::kInvalidArgument);
    EXPECT_EQ(failed->error.field, "permutation.decoding.compress");
  }
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
