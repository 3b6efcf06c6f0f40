#include "kv_cache/prefix_index.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kv_cache/prefix_wipes.h"

namespace pmt::kv_cache {
namespace {

constexpr KvShape kShape{1, 1, 64};
constexpr std::int64_t kLots = 1 << 30;
const PrefixKey kExact;
const PrefixKey kAt8{.scope = "", .ratio = 8};

class PrefixIndexTest : public testing::Test {
 protected:
  SequenceKv read(int tokens) {
    SequenceKv sequence(*pool_, kShape);
    EXPECT_TRUE(sequence.reserve(tokens));
    sequence.commit(tokens);
    return sequence;
  }
  /// Four of its tokens, in one page of bytes.
  CompactTables few(int tokens) const {
    CompactTables out{.tokens = tokens, .tail = kernels::PageCodec::kBytes};
    out.tables = {{.kept = 4, .compact_pages = 0}};
    out.pages.resize(pool_->bytes_of(PageSize::kHalf));
    return out;
  }
  static std::vector<std::int32_t> numbers(int first, int count) {
    std::vector<std::int32_t> out(static_cast<std::size_t>(count));
    std::iota(out.begin(), out.end(), first);
    return out;
  }
  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(64), 4U << 20));
};

TEST_F(PrefixIndexTest, GivesTheLongestCommonPrefix) {
  PrefixIndex index(*pool_, kLots);
  auto other = numbers(0, 100);
  other.resize(300, 7);
  index.insert(kExact, numbers(0, 200), read(200));
  index.insert(kExact, other, read(300));
  auto wanted = numbers(0, 150);
  wanted.push_back(-1);
  const auto found = index.find(kExact, wanted, 150);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tokens(), 150);
  EXPECT_EQ(index.find(kExact, numbers(0, 200), 199)->tokens(), 199) << "never more than asked for";
  EXPECT_FALSE(index.find(kExact, numbers(0, PrefixIndex::kTokensMin - 1), 1000))
      << "too short to be worth it";
  EXPECT_FALSE(index.find(kExact, numbers(1, 200), 200));
}

TEST_F(PrefixIndexTest, AGrowingConversationIsOneEntry) {
  PrefixIndex index(*pool_, kLots);
  index.insert(kExact, numbers(0, 100), read(100));
  index.insert(kExact, numbers(0, 180), read(180));
  EXPECT_EQ(index.entries(), 1U);
  index.insert(kExact, numbers(0, 90), read(90));
  EXPECT_EQ(index.entries(), 1U) << "known already";
  EXPECT_EQ(index.find(kExact, numbers(0, 180), 500)->tokens(), 180);
}

TEST_F(PrefixIndexTest, SharesPagesAndGivesThemBack) {
  PrefixIndex index(*pool_, kLots);
  {
    const SequenceKv sequence = read(128);
    index.insert(kExact, numbers(0, 128), sequence);
    EXPECT_EQ(pool_->stats().pages_used, 4U);
    EXPECT_EQ(index.bytes(), 0) << "the sequence holds them too";
  }
  EXPECT_EQ(index.bytes(), 4 * 8192);
  EXPECT_EQ(pool_->stats().pages_used, 4U);
  EXPECT_TRUE(index.drop_one());
  EXPECT_FALSE(index.drop_one());
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

TEST_F(PrefixIndexTest, TheLeastRecentlyUsedGoesFirst) {
  PrefixIndex index(*pool_, 3 * 4 * 8192);
  for (int i = 0; i < 3; ++i) index.insert(kExact, numbers(1000 * i, 128), read(128));
  EXPECT_TRUE(index.find(kExact, numbers(0, 128), 128));
  index.insert(kExact, numbers(5000, 128), read(128));
  EXPECT_EQ(index.entries(), 3U);
  EXPECT_TRUE(index.find(kExact, numbers(0, 128), 128));
  EXPECT_FALSE(index.find(kExact, numbers(1000, 128), 128));
}

TEST_F(PrefixIndexTest, SharedPagesCountOnce) {
  PrefixIndex index(*pool_, 6 * 8192);
  SequenceKv trunk = read(128);
  for (int i = 0; i < 2; ++i) {
    SequenceKv branch = trunk.fork();
    ASSERT_TRUE(branch.reserve(32));
    branch.commit(32);
    auto tokens = numbers(0, 128);
    tokens.resize(160, 1000 + i);
    index.insert(kExact, tokens, branch);
  }
  EXPECT_EQ(index.entries(), 2U);
}

TEST_F(PrefixIndexTest, CompactEntriesServeOnlyWhatGoesOnFromThem) {
  PrefixIndex index(*pool_, kLots);
  SequenceKv sequence = read(200);
  ASSERT_TRUE(sequence.adopt(few(200)));
  index.insert(kAt8, numbers(0, 200), sequence);
  EXPECT_FALSE(index.find(kExact, numbers(0, 220), 219)) << "an exact request never gets it";
  EXPECT_FALSE(index.find(PrefixKey{.scope = "", .ratio = 4}, numbers(0, 220), 219))
      << "another ratio neither";
  EXPECT_FALSE(index.find(kAt8, numbers(0, 150), 149)) << "it was compressed as a whole";
  const auto found = index.find(kAt8, numbers(0, 220), 219);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tokens(), 200);
  EXPECT_TRUE(found->compact());
}

TEST_F(PrefixIndexTest, ACompactEntryBesideALongerCompression) {
  PrefixIndex index(*pool_, kLots);
  const auto compacted = [&](int tokens) {
    SequenceKv sequence = read(tokens);
    EXPECT_TRUE(sequence.adopt(few(tokens)));
    return sequence;
  };
  index.insert(kAt8, numbers(0, 300), compacted(300));
  index.insert(kAt8, numbers(0, 100), compacted(100));
  EXPECT_EQ(index.entries(), 2U) << "the longer one can't serve who parts from it at 200";
  auto parting = numbers(0, 200);
  parting.resize(250, -5);
  ASSERT_TRUE(index.find(kAt8, parting, 249));
  EXPECT_EQ(index.find(kAt8, parting, 249)->compressed_tokens(), 100);
  EXPECT_EQ(index.find(kAt8, numbers(0, 400), 399)->compressed_tokens(), 300);
}

TEST_F(PrefixIndexTest, GuessedScoresLieBesideAnEntry) {
  PrefixIndex index(*pool_, kLots);
  index.insert(kExact, numbers(0, 200), read(200));
  Guessed beside;
  ASSERT_TRUE(index.find(kExact, numbers(0, 150), 149, &beside));
  EXPECT_EQ(beside, nullptr);
  const auto scores = std::make_shared<const GuessedScores>(GuessedScores{.scores = {}, .tokens = 150});
  index.insert(kExact, numbers(0, 150), read(150), scores);
  EXPECT_EQ(index.entries(), 1U);
  ASSERT_TRUE(index.find(kExact, numbers(0, 150), 149, &beside));
  EXPECT_EQ(beside, scores) << "the known entry takes them";
  const auto longer = std::make_shared<const GuessedScores>(GuessedScores{.scores = {}, .tokens = 250});
  index.insert(kExact, numbers(0, 250), read(250), longer);
  ASSERT_TRUE(index.find(kExact, numbers(0, 250), 249, &beside));
  EXPECT_EQ(beside, longer);
}

TEST_F(PrefixIndexTest, ScopesShareNothing) {
  PrefixIndex index(*pool_, kLots);
  const PrefixKey acme{.scope = "acme", .ratio = 1};
  index.insert(acme, numbers(0, 200), read(200));
  EXPECT_FALSE(index.find(kExact, numbers(0, 200), 200));
  EXPECT_FALSE(index.find({.scope = "acm", .ratio = 1}, numbers(0, 200), 200));
  EXPECT_TRUE(index.find(acme, numbers(0, 200), 200));
}

TEST_F(PrefixIndexTest, WhatIsDroppedIsAllOfAScope) {
  PrefixIndex index(*pool_, kLots);
  for (const std::string scope : {"acme", "acme", "bob"}) {
    for (int i = 0; i < 3; ++i)
      index.insert({.scope = scope, .ratio = 1}, numbers(1000 * i, 100 + i), read(100 + i));
  }
  index.drop([](const PrefixKey& key) { return key.scope == "acme"; });
  EXPECT_EQ(index.entries(), 3U);
  EXPECT_FALSE(index.find({.scope = "acme", .ratio = 1}, numbers(0, 100), 100));
  EXPECT_TRUE(index.find({.scope = "bob", .ratio = 1}, numbers(0, 100), 100));
  index.drop([](const PrefixKey&) { return true; });
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

TEST(PrefixWipes, WhoLooksLateForgetsMoreThanIsAsked) {
  PrefixWipes wipes;
  int heard = 0;
  wipes.listen(&heard, [&heard] { ++heard; });
  wipes.add("ann");
  wipes.add("bob");
  const auto both = wipes.since(0);
  EXPECT_EQ(both.tenants, (std::vector<std::string>{"bob", "ann"}));
  EXPECT_FALSE(both.all);
  EXPECT_EQ(wipes.since(1).tenants, std::vector<std::string>{"bob"});
  wipes.add(std::nullopt);
  EXPECT_TRUE(wipes.since(2).all);
  for (int i = 0; i < 100; ++i) wipes.add("carl");
  EXPECT_TRUE(wipes.since(3).all) << "what was before isn't known any more";
  EXPECT_FALSE(wipes.since(wipes.count()).all);
  EXPECT_TRUE(wipes.since(wipes.count()).tenants.empty());
  wipes.ignore(&heard);
  wipes.add("ann");
  EXPECT_EQ(heard, 103);
}

/// Against a list that is searched from end to end: what is shared, what is there, and the bytes.
TEST_F(PrefixIndexTest, DoesWhatAListWould) {
  struct Known {
    std::string scope;
    std::vector<std::int32_t> tokens;
  };
  std::mt19937 rng(7);
  const auto below = [&](int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 30; ++round) {
    PrefixIndex index(*pool_, kLots);
    std::vector<Known> list;
    for (int step = 0; step < 60; ++step) {
      // Few distinct runs of tokens, so that prompts share beginnings and part inside edges.
      std::vector<std::int32_t> tokens;
      for (int part = 1 + below(5); part > 0; --part) {
        const int run = below(2);
        for (int i = 20 + 7 * below(4); i > 0; --i) tokens.push_back(run);
      }
      const std::string scope(1, static_cast<char>('a' + below(2)));
      const auto shared_with = [&](const Known& known) {
        if (known.scope != scope) return 0;
        return static_cast<int>(
            std::mismatch(tokens.begin(), tokens.end(), known.tokens.begin(), known.tokens.end()).first -
            tokens.begin());
      };
      const int count = static_cast<int>(tokens.size());
      int most = 0;
      for (const Known& known : list) most = std::max(most, shared_with(known));
      auto found = index.find({scope, 1}, tokens, count);
      ASSERT_EQ(found ? found->tokens() : 0, most >= PrefixIndex::kTokensMin ? most : 0);
      found.reset();
      if (count < PrefixIndex::kTokensMin || below(2) == 0) continue;
      index.insert({scope, 1}, tokens, read(count));
      if (most < count) {
        std::erase_if(list, [&](const Known& known) {
          return known.scope == scope && shared_with(known) == static_cast<int>(known.tokens.size());
        });
        list.push_back({scope, tokens});
      }
      ASSERT_EQ(index.entries(), list.size());
      std::int64_t bytes = 0;
      for (const Known& known : list)
        bytes += static_cast<std::int64_t>((known.tokens.size() + 31) / 32 * kernels::f16_page_bytes(64));
      ASSERT_EQ(index.bytes(), bytes);
    }
    for (; !list.empty(); list.pop_back()) ASSERT_TRUE(index.drop_one());
    ASSERT_FALSE(index.drop_one());
    ASSERT_EQ(pool_->stats().pages_used, 0U);
  }
}

TEST_F(PrefixIndexTest, SwitchedOffItKeepsNothing) {
  PrefixIndex index(*pool_, 0);
  index.insert(kExact, numbers(0, 200), read(200));
  EXPECT_EQ(index.entries(), 0U);
  EXPECT_EQ(pool_->stats().pages_used, 0U);
}

}  // namespace
}  // namespace pmt::kv_cache
