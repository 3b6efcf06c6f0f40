#include "response_cache/store/node_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "base/sanitized.h"

namespace pmt::response_cache::node_pool {
namespace {

struct Owned {
  unsigned char* block;
  unsigned char mark;
};

Owned taken(std::mt19937& random) {
  auto* const block = static_cast<unsigned char*>(take());
  const auto mark = static_cast<unsigned char>(random());
  std::memset(block, mark, kBlockBytes);
  return {block, mark};
}

bool untouched(const Owned& owned) {
  for (std::size_t i = 0; i < kBlockBytes; ++i) {
    if (owned.block[i] != owned.mark) return false;
  }
  return true;
}

// Grows over several chunks and shrinks again, in random order.
void churn(unsigned seed, bool& right) {
  std::mt19937 random(seed);
  std::vector<Owned> held;
  right = true;
  for (const std::size_t wanted : {40'000, 10, 20'000, 0}) {
    while (held.size() != wanted) {
      const bool more = held.size() < wanted ? random() % 8 != 0 : random() % 8 == 0;
      if (more || held.empty()) {
        held.push_back(taken(random));
        right = right && reinterpret_cast<std::uintptr_t>(held.back().block) % kBlockBytes == 0;
        continue;
      }
      std::swap(held[random() % held.size()], held.back());
      right = right && untouched(held.back());
      give_back(held.back().block);
      held.pop_back();
    }
  }
}

TEST(NodePoolTest, BlocksAreApartAndMemoryGoesBack) {
  const Stats before = stats();
  bool right = false;
  churn(1, right);
  EXPECT_TRUE(right);
  if (base::kSanitized) return;
  EXPECT_EQ(stats().blocks, before.blocks);
  // Other tests' blocks may hold a chunk open, and one stays for the next.
  EXPECT_LE(stats().chunks, before.chunks + 1);
}

TEST(NodePoolTest, AChunkThatIsFullIsFollowedByAnother) {
  if (base::kSanitized) GTEST_SKIP() << "no pool under a sanitizer";
  const Stats before = stats();
  std::vector<void*> held;
  const std::size_t per_chunk = kChunkBytes / kBlockBytes - 1;
  for (std::size_t i = 0; i < 3 * per_chunk; ++i) held.push_back(take());
  EXPECT_EQ(stats().blocks, before.blocks + held.size());
  EXPECT_GE(stats().chunks, 3U);
  EXPECT_LE(stats().chunks, before.chunks + 3);
  for (void* block : held) give_back(block);
  EXPECT_EQ(stats().blocks, before.blocks);
}

TEST(NodePoolTest, ThreadsShareIt) {
  const Stats before = stats();
  bool right[3] = {};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) threads.emplace_back([i, &right] { churn(10 + i, right[i]); });
  for (auto& thread : threads) thread.join();
  for (const bool each : right) EXPECT_TRUE(each);
  if (base::kSanitized) return;
  EXPECT_EQ(stats().blocks, before.blocks);
}

}  // namespace
}  // namespace pmt::response_cache::node_pool
