#include "compression/encode.h"

#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/attention.h"
#include "kernels/page_layout.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {
namespace {

using kv_cache::KvHeadId;
using kv_cache::LayerId;
using kv_cache::PagePool;
using kv_cache::PageSize;
using kv_cache::SequenceKv;

constexpr kv_cache::KvShape kShape{2, 3, 64};

class EncodeTest : public testing::Test {
 protected:
  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(64), 4U << 20));
  static constexpr std::size_t kTables = 6;

  /// An exact sequence whose token t holds its own random signs as keys and values in every table.
  SequenceKv exact(int tokens) {
    SequenceKv sequence(*pool_, kShape);
    EXPECT_TRUE(sequence.reserve(tokens));
    for (int t = 0; t < tokens; ++t) write(sequence, t, kernels_.store_f16);
    sequence.commit(tokens);
    return sequence;
  }

  template <class Store>
  void write(SequenceKv& sequence, int t, Store store) {
    const std::vector<float> row = row_of(t);
    for (std::uint32_t table = 0; table < kTables; ++table) {
      const LayerId layer(table / 3);
      const KvHeadId head(table % 3);
      const int slot = sequence.slot(layer, head, t);
      store(row.data(), row.data(), 64, slot % kernels::kPageTokens,
            pool_->data(sequence.table(layer, head).pages.data()[slot / kernels::kPageTokens]));
    }
  }

  static std::vector<float> row_of(int t) {
    std::mt19937 signs(static_cast<std::uint32_t>(t));
    std::vector<float> row(64);
    for (float& x : row) x = (signs() & 1U) != 0 ? 1.0F : -1.0F;
    return row;
  }

  /// A table's tokens by slot, known again by their keys: rows of random signs differ in half their elements.
  std::vector<int> tokens_in(const SequenceKv& sequence, std::uint32_t table) {
    std::map<std::vector<bool>, int> known;
    for (int t = 0; t < sequence.tokens(); ++t) known[signs_of(row_of(t).data())] = t;
    EXPECT_EQ(known.size(), static_cast<std::size_t>(sequence.tokens()));
    const LayerId layer(table / 3);
    const KvHeadId head(table % 3);
    std::vector<int> out;
    for (int slot = 0; slot <= sequence.slot(layer, head, sequence.tokens() - 1); ++slot) {
      const int page = slot / kernels::kPageTokens;
      const std::byte* bytes = pool_->data(sequence.table(layer, head).pages.data()[page]);
      const bool coded = page < sequence.table(layer, head).compact_pages;
      const auto found =
          known.find(signs_of(key_at(bytes, coded, sequence.tail(), slot % kernels::kPageTokens).data()));
      out.push_back(found == known.end() ? -1 : found->second);
    }
    return out;
  }

  static std::vector<bool> signs_of(const float* row) {
    std::vector<bool> out;
    for (int d = 0; d < 64; ++d) out.push_back(row[d] > 0);
    return out;
  }

  /// A page's key of one slot, as attention sees it: the one direction that answers each query.
  std::vector<float> key_at(const std::byte* page, bool coded, kernels::PageCodec ends, int slot) {
    std::vector<float> key(64);
    if (ends == kernels::PageCodec::kF16) {
      float value[64];
      kernels_.load_f16(page, 64, slot, key.data(), value);
      return key;
    }
    // Alone in a page of zeros the token's value comes out of attention as it is, and its value is its key.
    std::vector<std::byte> alone(kernels::f16_page_bytes(64));
    std::memcpy(alone.data(), page, pool_->bytes_of(coded ? PageSize::kSmall : PageSize::kHalf));
    const std::uint32_t id = 0;
    std::vector<float> query(64);
    auto scratch = std::make_unique<kernels::Scratch>();
    kernels::AttentionTile tile;
    tile.kv = {alone.data(), alone.size(), &id, coded ? 1 : 0, ends};
    tile.q = query.data();
    tile.q_stride = 64;
    tile.queries = 1;
    tile.head_dim = 64;
    tile.visible_first = slot + 1;
    tile.window = 1;
    kernels_.load_queries(tile, *scratch);
    kernels_.attend_segment(tile, 0, *scratch, scratch->total);
    kernels_.finish(tile, scratch->total, key.data(), 64);
    return key;
  }

  /// Every third token or so; whole compact pages' worth of them coded. Table 1 keeps one token.
  std::vector<KeptTokens> every(int step, int tokens) {
    std::vector<KeptTokens> kept(kTables);
    for (std::size_t table = 0; table < kTables; ++table) {
      auto& [coded, exact] = kept[table];
      for (int t = static_cast<int>(table) % step; t < tokens; t += step) exact.push_back(t);
      const auto whole = static_cast<std::ptrdiff_t>((exact.size() - 1) / 32 * 32);
      coded.assign(exact.begin(), exact.begin() + whole);
      exact.erase(exact.begin(), exact.begin() + whole);
    }
    kept[1] = {{}, {0}};
    return kept;
  }

  static std::vector<int> all_of(const KeptTokens& kept) {
    std::vector<int> out(kept.coded.begin(), kept.coded.end());
    out.insert(out.end(), kept.exact.begin(), kept.exact.end());
    return out;
  }

  base::Status compress(SequenceKv& sequence, const std::vector<KeptTokens>& kept, kernels::PageCodec tail) {
    return sequence.adopt(encode(sequence, *pool_, {.kept = kept, .tail = tail}, {}));
  }

  const kernels::AttentionKernels& kernels_ = kernels::best_attention_kernels();
};

TEST_F(EncodeTest, KeepsEachTablesChoiceAndAppendsToAll) {
  SequenceKv sequence = exact(100);
  const auto kept = every(3, 100);
  ASSERT_TRUE(compress(sequence, kept, kernels::PageCodec::kBytes));
  EXPECT_TRUE(sequence.compact());
  EXPECT_EQ(sequence.tokens(), 100);
  EXPECT_EQ(sequence.compressed_tokens(), 100);
  // 34, 1, 33, 34, 33, 33 slots: a small page and a half one a table, a half one for the short one.
  EXPECT_EQ(sequence.held().pages, 5 * 2048 + 6 * 4096);
  EXPECT_EQ(pool_->stats().bytes_used, 5U * 2048 + 6 * 4096) << "the pages of before are free";
  EXPECT_EQ(sequence.bytes(LayerId(0), KvHeadId(1)), 4096);
  EXPECT_EQ(sequence.slots(), 34 + 1 + 33 + 34 + 33 + 33);

  ASSERT_TRUE(sequence.reserve(40));
  for (int t = 100; t < 140; ++t) write(sequence, t, kernels_.store_bytes);
  sequence.commit(40);
  for (std::uint32_t table = 0; table < kTables; ++table) {
    std::vector<int> want = all_of(kept[table]);
    for (int t = 100; t < 140; ++t) want.push_back(t);
    EXPECT_EQ(tokens_in(sequence, table), want) << "table " << table;
  }
  EXPECT_EQ(sequence.longest(139), 74);

  sequence.truncate(101);
  EXPECT_EQ(sequence.slots(), 34 + 1 + 33 + 34 + 33 + 33 + 6);
  sequence.clear();
  EXPECT_FALSE(sequence.compact());
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

TEST_F(EncodeTest, ForksShareCompactPagesUntilOneWrites) {
  SequenceKv first = exact(100);
  ASSERT_TRUE(compress(first, every(3, 100), kernels::PageCodec::kBytes));
  const std::size_t before = pool_->stats().bytes_used;
  SequenceKv second = first.fork();
  EXPECT_EQ(pool_->stats().bytes_used, before);
  EXPECT_EQ(first.held().own, 0);
  ASSERT_TRUE(second.reserve(1));
  write(second, 100, kernels_.store_bytes);
  second.commit(1);
  EXPECT_EQ(pool_->stats().bytes_used, before + kTables * 4096) << "each table's last page was copied";
  ASSERT_TRUE(first.reserve(1));
  for (std::uint32_t table = 0; table < kTables; ++table) {
    auto want = tokens_in(first, table);
    want.push_back(100);
    EXPECT_EQ(tokens_in(second, table), want);
  }
}

TEST_F(EncodeTest, AFullPoolCanBeCompressedAndASharedOneSaysNo) {
  const int fits = static_cast<int>(pool_->pages_max() / kTables) * kernels::kPageTokens;
  SequenceKv sequence = exact(fits);
  {
    const SequenceKv other = sequence.fork();
    const std::vector<KeptTokens> all = every(1, fits);
    while (pool_->pages_free() > 0) static_cast<void>(*pool_->allocate(PageSize::kLarge));
    const auto refused = compress(sequence, all, kernels::PageCodec::kBytes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::Code::kUnavailable);
    EXPECT_FALSE(sequence.compact());
    EXPECT_EQ(sequence.tokens(), fits);
  }
  ASSERT_TRUE(compress(sequence, every(1, fits), kernels::PageCodec::kBytes));
  EXPECT_EQ(tokens_in(sequence, 0).size(), static_cast<std::size_t>(fits));
}

TEST_F(EncodeTest, TokensMayBeDroppedFromExactPages) {
  SequenceKv sequence = exact(100);
  std::vector<KeptTokens> kept = every(3, 100);
  for (auto& [coded, exact] : kept) {
    exact.insert(exact.begin(), coded.begin(), coded.end());
    coded.clear();
  }
  ASSERT_TRUE(compress(sequence, kept, kernels::PageCodec::kF16));
  EXPECT_TRUE(sequence.compact());
  EXPECT_EQ(sequence.tail(), kernels::PageCodec::kF16);
  EXPECT_EQ(pool_->stats().bytes_used, 11U * 8192);
  ASSERT_TRUE(sequence.reserve(1));
  write(sequence, 100, kernels_.store_f16);
  sequence.commit(1);
  float key[64];
  float value[64];
  // Table 2 keeps 2, 5, 8, ...: its slot 1 is token 5; the new token follows its 33.
  kernels_.load_f16(pool_->data(sequence.table(LayerId(0), KvHeadId(2)).pages.data()[0]), 64, 1, key, value);
  EXPECT_EQ(std::vector(key, key + 64), row_of(5));
  EXPECT_EQ(std::vector(value, value + 64), row_of(5));
  kernels_.load_f16(pool_->data(sequence.table(LayerId(0), KvHeadId(2)).pages.data()[1]), 64, 1, key, value);
  EXPECT_EQ(std::vector(key, key + 64), row_of(100));
}

}  // namespace
}  // namespace pmt::compression
