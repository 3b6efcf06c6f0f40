// Memory honesty: whatever mix of requests, choices, compression, cancellations, errors and pre-emptions went
// through, the pool is back at its idle size, holds what it says, and is still of use.
//
// On a tiny random model with local layers, so that it runs in seconds and under the sanitizers.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compression/calibration.h"
#include "inference/local_model.h"
#include "llm/sinks.h"
#include "model/testing/tiny_model.h"
#include "model/transformer.h"

namespace pmt::inference {
namespace {

const base::SystemClock kClock;
constexpr std::size_t kMiB = std::size_t{1} << 20;

model::testing::TinyModelOptions shape(int layers, int kv_heads, const char* architecture = "gemma3") {
  return {.architecture = architecture,
          .head_dim = 32,
          .layers = layers,
          .heads = 2 * kv_heads,
          .kv_heads = kv_heads,
          .context_tokens = 2048,
          .window = 64,
          .tokenizer = true};
}

struct Running {
  std::shared_ptr<llm::CollectingSink> sink = std::make_shared<llm::CollectingSink>();
  base::CancelToken cancel;
};

class PoolTrace : public testing::Test {
 protected:
  void open(const model::testing::TinyModelOptions& tiny, std::size_t kv_bytes, std::size_t prefix_bytes) {
    file_ = std::make_unique<model::testing::TinyModel>(tiny);
    calibration_ = file_->path() + ".kv";
    {
      // A predictor of random weights serves as well as a fitted one: which tokens go doesn't matter here.
      auto transformer = std::move(*model::Transformer::load(file_->path(), 1, {}));
      compression::Calibration calibration;
      calibration.predictor.width = tiny.hidden;
      std::normal_distribution<float> normal(0, 0.1F);
      const auto tables = static_cast<std::size_t>(tiny.layers * tiny.kv_heads);
      calibration.predictor.weights.resize(tables * static_cast<std::size_t>(tiny.hidden + 1));
      for (float& x : calibration.predictor.weights) x = normal(rng_);
      ASSERT_TRUE(compression::save(calibration, *transformer, calibration_));
    }
    LocalModelOptions options;
    options.name = "tiny";
    options.path = file_->path();
    options.threads = 1;
    options.kv_bytes_max = kv_bytes;
    options.prefix_bytes_max = prefix_bytes;
    options.prefill_chunk_tokens = 64;
    options.calibration_path = calibration_;
    auto loaded = LocalModel::load(options, kClock);
    ASSERT_TRUE(loaded) << loaded.error().message;
    model_ = std::move(*loaded);
  }
  void TearDown() override {
    model_.reset();
    std::error_code ignored;
    std::filesystem::remove(calibration_, ignored);
  }

  int below(int n) { return static_cast<int>(rng_() % static_cast<unsigned>(n)); }

  /// Begins like one of four texts, for up to all of it.
  std::vector<std::int32_t> prompt(int tokens_max) {
    std::mt19937 text(static_cast<unsigned>(below(4)));
    std::vector<std::int32_t> tokens;
    for (int i = 1 + below(tokens_max); i > 0; --i)
      tokens.push_back(static_cast<std::int32_t>(3 + text() % 256));
    for (int i = below(60); i > 0; --i) tokens.push_back(3 + below(256));
    return tokens;
  }

  llm::Request request(int tokens_max) {
    constexpr double kRatios[] = {1, 2, 8, 64};
    constexpr llm::KvMode kModes[] = {llm::KvMode::kAuto, llm::KvMode::kExact, llm::KvMode::kQueryAware,
                                      llm::KvMode::kQueryAgnostic};
    llm::Request out;
    out.endpoint = llm::Endpoint::kCompletions;
    out.prompt_tokens = prompt(tokens_max);
    out.max_tokens = 1 + below(40);
    out.n = 1 + below(3);
    out.sampling.temperature = below(2) == 0 ? 0.0F : 1.0F;
    out.sampling.seed = rng_();
    out.kv = {kRatios[below(4)], kModes[below(4)]};
    out.tenant = below(3) == 0 ? "acme" : "";
    // Errors: a token that there is none of, and more than the pool or the context can hold.
    if (below(12) == 0) out.prompt_tokens.push_back(100000);
    if (below(12) == 0) out.prompt_tokens.resize(5000, 7);
    if (below(12) == 0) {
      out.n = 60;
      out.max_tokens = 1500;
    }
    return out;
  }

  Running start(llm::Request request) {
    Running out;
    model_->start(std::move(request), out.sink, out.cancel);
    return out;
  }

  /// Waits; exactly one terminal event, the last.
  static void expect_one_end(const Running& running) {
    const auto events = running.sink->wait();
    int ends = 0;
    for (const llm::Event& event : events)
      ends += std::holds_alternative<llm::Done>(event) || std::holds_alternative<llm::Failed>(event) ? 1 : 0;
    EXPECT_EQ(ends, 1);
    EXPECT_TRUE(std::holds_alternative<llm::Done>(events.back()) ||
                std::holds_alternative<llm::Failed>(events.back()));
  }

  KvPoolStats idle() const {
    for (int i = 0; i < 500; ++i) {
      const EngineStats stats = model_->stats();
      const KvPoolStats kv = model_->kv_stats();
      if (stats.running == 0 && stats.waiting == 0 && kv.sequences == 0 && kv.bytes == kv.bytes_prefixes)
        break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return model_->kv_stats();
  }

  void run(int requests, int at_once, int tokens_max) {
    std::vector<Running> running;
    for (int i = 0; i < requests; ++i) {
      running.push_back(start(request(tokens_max)));
      if (below(4) == 0)
        running[static_cast<std::size_t>(below(static_cast<int>(running.size())))].cancel.cancel();
      if (below(3) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(below(8)));
      while (static_cast<int>(running.size()) > below(at_once)) {
        const auto chosen = running.begin() + below(static_cast<int>(running.size()));
        if (below(5) == 0) chosen->cancel.cancel();
        expect_one_end(*chosen);
        running.erase(chosen);
      }
      const KvPoolStats stats = model_->kv_stats();
      EXPECT_LE(stats.bytes, stats.bytes_max);
      EXPECT_LE(stats.bytes, stats.bytes_resident);
    }
    for (const Running& each : running) expect_one_end(each);
  }

  std::mt19937 rng_{20};
  std::unique_ptr<model::testing::TinyModel> file_;
  std::string calibration_;
  std::unique_ptr<LocalModel> model_;
};

TEST_F(PoolTrace, ComesBackToNothing) {
  open(shape(4, 1), 2 * kMiB, 0);
  run(150, 12, 700);
  const KvPoolStats stats = idle();
  EXPECT_EQ(stats.bytes, 0);
  EXPECT_EQ(stats.pages_used, 0);
  EXPECT_EQ(stats.sequences, 0);
  const EngineStats engine = model_->stats();
  EXPECT_EQ(engine.requests, engine.completed + engine.cancelled + engine.failed);
  EXPECT_GT(engine.completed, 20U);
  EXPECT_GT(engine.cancelled, 5U);
  EXPECT_GT(engine.compressed, 5U);
}

TEST_F(PoolTrace, ComesBackToThePrefixesAndGivesThemUp) {
  open(shape(4, 1), 2 * kMiB, kMiB);
  run(150, 12, 700);
  const KvPoolStats stats = idle();
  EXPECT_EQ(stats.bytes, stats.bytes_prefixes) << "nobody holds anything else";
  EXPECT_LE(stats.bytes, static_cast<std::int64_t>(kMiB));
  EXPECT_GT(stats.prefixes, 0);
  EXPECT_GT(model_->stats().prefix_hits, 5U);
  // One request that needs nearly the whole pool gets it.
  llm::Request large;
  large.endpoint = llm::Endpoint::kCompletions;
  large.prompt_tokens.assign(1500, 9);
  large.n = 2;
  large.max_tokens = 500;
  large.sampling.temperature = 0;
  const auto events = start(std::move(large)).sink->wait();
  EXPECT_TRUE(std::holds_alternative<llm::Done>(events.back()));
}

/// An exact request leaves its guessed scores beside its prefix; the answer is the one of a prompt read anew.
TEST_F(PoolTrace, ACompressedPromptGoesOnFromAnExactPrefix) {
  std::vector<std::string> texts;
  for (const std::size_t prefix_bytes : {std::size_t{0}, kMiB}) {
    rng_.seed(20);
    open(shape(4, 1, "llama"), 4 * kMiB, prefix_bytes);
    const auto ask = [&](int first, double ratio, llm::KvMode mode) {
      llm::Request out;
      out.endpoint = llm::Endpoint::kCompletions;
      for (int i = 0; i < 500; ++i) out.prompt_tokens.push_back(3 + (first + i * 37) % 256);
      out.max_tokens = 12;
      out.sampling.temperature = 0;
      out.kv = {ratio, mode};
      const auto events = start(std::move(out)).sink->wait();
      const auto* done = std::get_if<llm::Done>(&events.back());
      EXPECT_NE(done, nullptr);
      texts.push_back(llm::text_of(events));
      return done == nullptr ? llm::KvReport{} : *done->report.kv;
    };
    ask(0, 8, llm::KvMode::kQueryAgnostic);
    ask(7, 1, llm::KvMode::kExact);
    for (const llm::KvMode mode : {llm::KvMode::kQueryAgnostic, llm::KvMode::kQueryAware}) {
      for (const double ratio : {2.0, 8.0}) {
        const llm::KvReport kv = ask(7, ratio, mode);
        EXPECT_NE(kv.mode, "exact");
        EXPECT_GT(kv.ratio_achieved, 1.3);
        if (prefix_bytes == 0) {
          EXPECT_EQ(kv.prefix_tokens_reused, 0);
        } else {
          EXPECT_GE(kv.prefix_tokens_reused, mode == llm::KvMode::kQueryAware ? 460 : 499);
        }
      }
    }
    TearDown();
  }
  ASSERT_EQ(texts.size(), 12U);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(texts[i], texts[i + 6]) << i;
}

TEST_F(PoolTrace, TooLargeARequestIsRefusedAndTheNextIsServed) {
  open(shape(16, 4), 2 * kMiB, kMiB);
  llm::Request large;
  large.endpoint = llm::Endpoint::kCompletions;
  large.prompt_tokens.assign(1900, 9);
  const auto events = start(large).sink->wait();
  const auto* failed = std::get_if<llm::Failed>(&events.back());
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->error.code, base::Code::kTooLarge);
  EXPECT_NE(failed->error.message.find("the pool holds 2 MiB"), std::string::npos) << failed->error.message;
  large.prompt_tokens.resize(40);
  large.max_tokens = 4;
  EXPECT_TRUE(std::holds_alternative<llm::Done>(start(large).sink->wait().back()));
}

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST_F(PoolTrace, ResidentMemoryFollows) {
  open(shape(8, 4, "llama"), 64 * kMiB, 0);
  const std::int64_t before = resident_bytes();
  std::vector<Running> running;
  std::int64_t most = 0, most_used = 0;
  for (int i = 0; i < 8; ++i) {
    llm::Request each;
    each.endpoint = llm::Endpoint::kCompletions;
    each.prompt_tokens.assign(1200, 3 + i);
    each.max_tokens = 100;
    each.sampling.temperature = 0;
    running.push_back(start(std::move(each)));
  }
  for (const Running& each : running) {
    most = std::max(most, resident_bytes());
    most_used = std::max(most_used, model_->kv_stats().bytes_resident);
    expect_one_end(each);
  }
  const KvPoolStats stats = idle();
  EXPECT_EQ(stats.bytes, 0);
  EXPECT_LE(stats.bytes_resident, static_cast<std::int64_t>(8 * kMiB)) << "four granules stay warm";
  EXPECT_GT(most_used, static_cast<std::int64_t>(12 * kMiB)) << "or there was nothing to follow";
#ifndef __SANITIZE_ADDRESS__  // which keeps freed memory of its own
  EXPECT_LT(resident_bytes() - before, most - before - (most_used - static_cast<std::int64_t>(10 * kMiB)))
      << "what the pool gave back has left the process";
#endif
}

}  // namespace
}  // namespace pmt::inference
