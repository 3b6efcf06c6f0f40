#include "kv_cache/page_budget.h"

#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "kv_cache/page_pool.h"

namespace pmt::kv_cache {
namespace {

constexpr KvShape kShape{.layers = 2, .kv_heads = 3, .head_dim = 64};

KvShape windowed() {
  KvShape out = kShape;
  out.window = 100;
  out.local[1] = true;
  return out;
}

TEST(PageBudget, ChoicesShareThePromptsFullPages) {
  // 70 tokens: two full pages a table, shared; the third and what comes later are each choice's own.
  EXPECT_EQ(pages_at_most(kShape, {.prompt_tokens = 70, .new_tokens = 10}), 6U * 3);
  EXPECT_EQ(pages_at_most(kShape, {.prompt_tokens = 70, .new_tokens = 10, .choices = 4}), 6U * (2 + 4));
  EXPECT_EQ(pages_at_most(kShape, {.prompt_tokens = 64, .new_tokens = 1, .choices = 2}), 6U * (2 + 2));
}

TEST(PageBudget, ALocalTableHoldsItsWindow) {
  // Window, room for a truncation and one step: (100 + 32 + 64) / 32 pages, and one that is cut at both sides.
  EXPECT_EQ(local_pages_at_most(windowed(), 5000, 64), 7U + 1);
  EXPECT_EQ(local_pages_at_most(windowed(), 40, 64), 2U);
  EXPECT_EQ(exact_pages_at_most(windowed(), 3200, 64), 3U * (100 + 8));
}

TEST(PageBudget, ACompressedPromptIsExactWhileItIsRead) {
  const RequestSize request{
      .prompt_tokens = 3200, .new_tokens = 32, .ratio = 64, .tail = kernels::PageCodec::kBytes};
  EXPECT_EQ(pages_at_most(kShape, request), 6U * 100) << "reading takes the most";
  RequestSize many = request;
  many.choices = 100;
  // A 64th of 600 pages; in halves of pages: one a table, and three a table and choice.
  EXPECT_EQ(pages_at_most(kShape, many), static_cast<std::size_t>(600.0 / 64 + (6 + 6 * 3 * 100) / 2.0) + 2);
}

TEST(PageBudget, WhatIsCodedWhileItIsWrittenCountsAtTheRatio) {
  RequestSize request{
      .prompt_tokens = 100, .new_tokens = 16'000, .ratio = 4, .tail = kernels::PageCodec::kBytes};
  EXPECT_GT(pages_at_most(kShape, request), 6U * 500 / 2) << "all of it in pages of bytes";
  request.uncoded_tokens = 384;
  // A quarter of 15,716 tokens' pages; in halves of pages: the prompt's ends, 384 tokens and two spare ones a table.
  EXPECT_EQ(pages_at_most(kShape, request),
            static_cast<std::size_t>(15'716 * 6 / 32.0 / 4 + 6 * (1 + 12 + 2) / 2.0) + 2);
  request.new_tokens = 200;
  EXPECT_GE(pages_at_most(kShape, request), 6U * 10) << "exact at first";
}

TEST(PageBudget, NoSequenceTakesMoreThanItsBound) {
  const auto pool = std::move(*PagePool::create(kernels::f16_page_bytes(64), 16U << 20));
  for (const KvShape& shape : {kShape, windowed()}) {
    for (const int step : {1, 7, 64}) {
      SequenceKv sequence(*pool, shape);
      while (sequence.tokens() < 900) {
        ASSERT_TRUE(sequence.reserve(step));
        sequence.commit(step);
        EXPECT_LE(sequence.held().page_count, exact_pages_at_most(shape, sequence.tokens(), step));
        sequence.drop_unseen();
      }
    }
  }
}

TEST(PageBudget, TheMostNewTokensThatFit) {
  for (const int choices : {1, 3}) {
    RequestSize request{.prompt_tokens = 100, .choices = choices};
    const int fit = new_tokens_that_fit(kShape, request, 200, 4096);
    request.new_tokens = fit;
    EXPECT_LE(pages_at_most(kShape, request), 200U);
    ++request.new_tokens;
    EXPECT_GT(pages_at_most(kShape, request), 200U);
  }
  EXPECT_EQ(new_tokens_that_fit(kShape, {.prompt_tokens = 100}, 1, 4096), 1) << "then submit() says no";
}

}  // namespace
}  // namespace pmt::kv_cache
