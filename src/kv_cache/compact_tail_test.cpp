#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/page_layout.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {
namespace {

constexpr int kDim = 64;
constexpr KvShape kShape{2, 1, kDim};
constexpr int kEnds = 20, kPrompt = 90;

class CompactTailTest : public testing::Test {
 protected:
  /// Slot `slot` of the table's tail, as one number that all of its bytes hold; -1: they differ.
  int read(const SequenceKv& sequence, std::size_t table, int slot) const {
    const std::byte* page = page_of(sequence, table, slot);
    const std::byte first = page[slot % kernels::kPageTokens];
    for (int d = 0; d < kDim; ++d) {
      if (page[d * kernels::kPageTokens + slot % kernels::kPageTokens] != first) return -1;
      if (page[(kernels::kPageTokens + slot % kernels::kPageTokens) * kDim + d] != first) return -1;
    }
    return static_cast<int>(first);
  }
  void write(const SequenceKv& sequence, std::size_t table, int slot, int number) const {
    std::byte* page = page_of(sequence, table, slot);
    for (int d = 0; d < kDim; ++d)
      page[d * kernels::kPageTokens + slot % kernels::kPageTokens] = static_cast<std::byte>(number);
    std::memset(page + (kernels::kPageTokens + slot % kernels::kPageTokens) * kDim, number, kDim);
  }
  std::byte* page_of(const SequenceKv& sequence, std::size_t table, int slot) const {
    const SequenceKv::Table of = sequence.table(kShape.layer_of(table), kShape.head_of(table));
    return pool_->data(of.pages[static_cast<std::size_t>(of.compact_pages + slot / kernels::kPageTokens)]);
  }

  /// A prompt of which each table keeps `compact_pages` coded pages and kEnds tokens, then `tokens` more. Each byte of
  /// a tail's token is its slot's number there.
  SequenceKv compact(int compact_pages, int tokens, std::shared_ptr<const KeptBiases> biases = {}) {
    SequenceKv out(*pool_, kShape);
    EXPECT_TRUE(out.reserve(kPrompt));
    out.commit(kPrompt);
    CompactTables made{.tokens = kPrompt, .tail = kernels::PageCodec::kBytes};
    made.tables.assign(kShape.tables(), {.kept = compact_pages * kernels::kPageTokens + kEnds,
                                         .compact_pages = compact_pages});
    made.biases = std::move(biases);
    made.pages.resize(kShape.tables() * (static_cast<std::size_t>(compact_pages) * small_ + half_));
    EXPECT_TRUE(out.adopt(made));
    append(out, tokens);
    for (std::size_t t = 0; t < kShape.tables(); ++t) {
      for (int slot = 0; slot < kEnds + tokens; ++slot) write(out, t, slot, slot % 128);
    }
    return out;
  }
  static void append(SequenceKv& sequence, int tokens) {
    ASSERT_TRUE(sequence.reserve(tokens));
    sequence.commit(tokens);
  }
  CompactedTail made(int tokens, std::vector<int> compact_pages) const {
    CompactedTail out{.tokens = tokens, .compact_pages = std::move(compact_pages)};
    for (const int pages : out.compact_pages) {
      for (int i = 0; i < pages; ++i)
        out.pages.insert(out.pages.end(), small_, static_cast<std::byte>(100 + i));
    }
    return out;
  }

  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(kDim), 2U << 20));
  const std::size_t small_ = pool_->bytes_of(PageSize::kSmall), half_ = pool_->bytes_of(PageSize::kHalf);
};

TEST_F(CompactTailTest, TakesTheOldestAndLeavesEndsAndLaterOnes) {
  SequenceKv sequence = compact(1, 110);
  EXPECT_EQ(sequence.recent(), 110);
  ASSERT_TRUE(sequence.compact_tail(made(64, {2, 0})));
  EXPECT_EQ(sequence.tokens(), kPrompt + 110);
  EXPECT_EQ(sequence.recent(), 46);
  EXPECT_EQ(sequence.compressed_tokens(), kPrompt + 64);
  EXPECT_EQ(sequence.tokens_min(), kPrompt + 64);
  for (std::size_t t = 0; t < 2; ++t) {
    const auto table = sequence.table(kShape.layer_of(t), kShape.head_of(t));
    EXPECT_EQ(table.compact_pages, t == 0 ? 3 : 1);
    EXPECT_EQ(sequence.tail_ends(t), kEnds);
    for (int slot = 0; slot < kEnds; ++slot) EXPECT_EQ(read(sequence, t, slot), slot) << "an end";
    for (int slot = kEnds; slot < kEnds + 46; ++slot) EXPECT_EQ(read(sequence, t, slot), (slot + 64) % 128);
    // The slot that attention knows of a position.
    const int last = sequence.slot(kShape.layer_of(t), kShape.head_of(t), kPrompt + 109);
    EXPECT_EQ(last - table.compact_pages * kernels::kPageTokens, kEnds + 45);
  }
  const auto pages = sequence.table(LayerId(0), KvHeadId(0)).pages;
  EXPECT_EQ(pool_->data(pages[1])[0], std::byte{100}) << "behind the prompt's own";
  EXPECT_EQ(pool_->data(pages[2])[small_ - 1], std::byte{101});
  EXPECT_EQ(sequence.longest(kPrompt + 109), 3 * kernels::kPageTokens + kEnds + 46);
  EXPECT_EQ(pool_->stats().bytes_used, static_cast<std::size_t>(sequence.held().pages));
  sequence.clear();
  EXPECT_EQ(pool_->stats().bytes_used, 0U);
}

TEST_F(CompactTailTest, DoesSoAgainAndAgainAndTakesMoreTokens) {
  SequenceKv sequence = compact(2, 64);
  for (int round = 0; round < 20; ++round) {
    append(sequence, 32);
    write(sequence, 1, kEnds + 95, round);
    ASSERT_TRUE(sequence.compact_tail(made(32, {1, round % 2})));
    EXPECT_EQ(sequence.recent(), 64);
    EXPECT_EQ(read(sequence, 1, 3), 3);
    EXPECT_EQ(read(sequence, 1, kEnds + 63), round);
  }
  EXPECT_EQ(sequence.table(LayerId(0), KvHeadId(0)).compact_pages, 22);
  EXPECT_EQ(sequence.table(LayerId(1), KvHeadId(0)).compact_pages, 12);
  sequence.truncate(sequence.tokens_min());
  EXPECT_EQ(sequence.recent(), 0);
  EXPECT_EQ(read(sequence, 0, kEnds - 1), kEnds - 1);
}

TEST_F(CompactTailTest, AForkKeepsWhatItHad) {
  SequenceKv sequence = compact(1, 110);
  const SequenceKv before = sequence.fork(Holder::kPrefix);
  ASSERT_TRUE(sequence.compact_tail(made(64, {1, 1})));
  EXPECT_EQ(before.recent(), 110);
  for (std::size_t t = 0; t < 2; ++t) {
    for (int slot = 0; slot < kEnds + 110; ++slot) EXPECT_EQ(read(before, t, slot), slot % 128);
    EXPECT_EQ(read(sequence, t, kEnds), (kEnds + 64) % 128);
  }
}

TEST_F(CompactTailTest, AFullPoolLeavesTheSequenceAsItWas) {
  SequenceKv sequence = compact(1, 110);
  const SequenceKv before = sequence.fork(Holder::kPrefix);  // so that nothing of it is freed
  SequenceKv other(*pool_, kShape);
  append(other, static_cast<int>(pool_->pages_free() / 2) * kernels::kPageTokens);
  const auto full = sequence.compact_tail(made(64, {2, 2}));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, base::Code::kUnavailable);
  EXPECT_EQ(sequence.recent(), 110);
  EXPECT_EQ(read(sequence, 0, kEnds + 7), kEnds + 7);
  other.clear();
  EXPECT_TRUE(sequence.compact_tail(made(64, {2, 2})));
}

TEST_F(CompactTailTest, BiasesStayWithTheirTokens) {
  auto biases = std::make_shared<KeptBiases>(std::vector<int>{32 + kEnds, 0});
  for (std::size_t i = 0; i < biases->steps(0).size(); ++i) biases->steps(0)[i] = static_cast<std::int8_t>(i);
  SequenceKv sequence = compact(1, 110, biases);
  ASSERT_TRUE(sequence.compact_tail(made(64, {1, 1})));
  const kernels::Biases after = sequence.table(LayerId(0), KvHeadId(0)).biases;
  ASSERT_EQ(after.tokens, 64 + kEnds);
  EXPECT_EQ(after.steps[31], 31);
  EXPECT_EQ(after.steps[32], 0) << "a token of the tail";
  EXPECT_EQ(after.steps[63], 0);
  EXPECT_EQ(after.steps[64], 32) << "the first of the ends";
  EXPECT_EQ(sequence.table(LayerId(1), KvHeadId(0)).biases.tokens, 0);
}

TEST_F(CompactTailTest, LocalTablesStayAsTheyAre) {
  KvShape shape = kShape;
  shape.window = 64;
  shape.local.set(1);
  SequenceKv sequence(*pool_, shape);
  append(sequence, kPrompt);
  CompactTables whole{.tokens = kPrompt, .recent = 50, .tail = kernels::PageCodec::kBytes};
  whole.tables = {{.kept = 86, .compact_pages = 1}, {.kept = 64, .compact_pages = 0}};
  whole.pages.resize(small_ + 2 * half_ + 2 * half_);
  ASSERT_TRUE(sequence.adopt(whole));
  EXPECT_EQ(sequence.tail_ends(0), 4);
  append(sequence, 60);
  ASSERT_TRUE(sequence.compact_tail(made(64, {1, 0})));
  EXPECT_EQ(sequence.recent(), 46);
  EXPECT_EQ(sequence.compressed_tokens(), kPrompt + 14);
  EXPECT_EQ(sequence.slot(LayerId(1), KvHeadId(0), kPrompt + 59), 64 + 59);
  EXPECT_EQ(sequence.slot(LayerId(0), KvHeadId(0), kPrompt + 59), 2 * 32 + 4 + 46 - 1);
}

}  // namespace
}  // namespace pmt::kv_cache
