#include "inference/memory_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inference/local_model.h"
#include "model/testing/tiny_model.h"

namespace pmt::inference {
namespace {

using ::testing::HasSubstr;
constexpr std::int64_t kMiB = 1 << 20;

/// A gigabyte of weights, 28 KiB a token.
MemoryNeed need(std::int64_t available) {
  return {"m", available, 1024 * kMiB, 512 * kMiB, 28 * 1024};
}

TEST(MemoryFit, WhatFitsIsGivenAsAsked) {
  for (const std::int64_t available : {std::int64_t{-1}, 64000 * kMiB, (1024 + 192 + 512) * kMiB}) {
    const auto fit = fit_memory(need(available));
    ASSERT_TRUE(fit);
    EXPECT_EQ(fit->kv_bytes_max, 512 * kMiB);
    EXPECT_EQ(fit->warning, "");
  }
}

TEST(MemoryFit, ASmallerPoolSaysWhatItHolds) {
  const auto fit = fit_memory(need((1024 + 192 + 200) * kMiB));
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->kv_bytes_max, 200 * kMiB);
  EXPECT_THAT(fit->warning, HasSubstr("200 MiB instead of the 512 MiB"));
  EXPECT_THAT(fit->warning, HasSubstr("312 MiB short"));
  EXPECT_THAT(fit->warning, HasSubstr("7314 tokens"));
  EXPECT_THAT(fit->warning, HasSubstr("51198 at kv_ratio 8"));
}

TEST(MemoryFit, WeightsThatDontFitAreRefused) {
  const auto fit = fit_memory(need(700 * kMiB));
  ASSERT_FALSE(fit);
  EXPECT_EQ(fit.error().code, base::Code::kUnavailable);
  EXPECT_THAT(fit.error().message, HasSubstr("530 MiB short"));  // 1024 + 192 + 14 - 700
  EXPECT_THAT(fit.error().message, HasSubstr("at most 494 MiB"));
}

/// Every amount of memory gives an answer: refused up to some point, cut up to another, then as asked.
TEST(MemoryFit, MoreMemoryNeverFitsLess) {
  std::int64_t before = 0;
  for (std::int64_t available = 0; available < 3000 * kMiB; available += 7 * kMiB) {
    const auto fit = fit_memory(need(available));
    const std::int64_t now = fit ? fit->kv_bytes_max : 0;
    ASSERT_GE(now, before);
    if (fit) {
      ASSERT_LE(1024 * kMiB + now, available);
    }
    before = now;
  }
  EXPECT_EQ(before, 512 * kMiB);
}

/// A pool that was meant to be tiny is no reason to refuse.
TEST(MemoryFit, ATinyPoolThatWasAskedForIsGiven) {
  MemoryNeed tiny = need((1024 + 192 + 5) * kMiB);
  tiny.kv_bytes_max = 4 * kMiB;
  ASSERT_TRUE(fit_memory(tiny));
  EXPECT_EQ(fit_memory(tiny)->kv_bytes_max, 4 * kMiB);
}

TEST(MemoryFit, AModelIsRefusedBeforeItIsRead) {
  const model::testing::TinyModel file({.tokenizer = true});
  const base::SystemClock clock;
  LocalModelOptions options;
  options.name = "tiny";
  options.path = file.path();
  options.threads = 1;
  bool read = false;
  options.on_load_progress = [&](float) { return read = true; };
  options.memory_available = [] { return 100 * kMiB; };
  const auto refused = LocalModel::load(options, clock);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("tiny doesn't fit into memory"));
  EXPECT_FALSE(read);

  std::string warning;
  options.on_warning = [&](const std::string& what) { warning = what; };
  options.memory_available = [] { return 400 * kMiB; };
  const auto loaded = LocalModel::load(options, clock);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_TRUE(read);
  EXPECT_THAT(warning, HasSubstr("instead of the 512 MiB of kv_bytes"));
  EXPECT_LE((*loaded)->kv_stats().bytes_max, 208 * kMiB);
}

}  // namespace
}  // namespace pmt::inference
