#include "response_cache/store/eviction_policy.h"

#include <algorithm>
#include <list>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::response_cache {
namespace {

/// Entries of one policy, evicted until nothing is left: in which order?
std::vector<std::uint64_t> order_of(EvictionPolicy& policy, const Evictable* spared = nullptr) {
  std::vector<std::uint64_t> order;
  while (Evictable* next = policy.pick(spared)) {
    order.push_back(next->id());
    policy.remove(*next);
  }
  return order;
}

class EvictionPolicyTest : public testing::Test {
 protected:
  Evictable& entry(std::uint64_t id, std::size_t bytes = 100, float worth = 1) {
    Evictable& made = entries_.emplace_back();
    made.set_id(id);
    made.bytes = bytes;
    made.worth = worth;
    return made;
  }
  std::list<Evictable> entries_;
};

TEST_F(EvictionPolicyTest, LruGoesByLastUse) {
  const auto lru = make_policy(Eviction::kLru);
  for (std::uint64_t id = 1; id <= 4; ++id) lru->add(entry(id));
  lru->touch(entries_.front());
  EXPECT_EQ(order_of(*lru), (std::vector<std::uint64_t>{2, 3, 4, 1}));
}

TEST_F(EvictionPolicyTest, GdsfKeepsWhatIsDearPerByteAndUsed) {
  const auto gdsf = make_policy(Eviction::kGdsf);
  gdsf->add(entry(1, 100, 1));   // .01 a byte
  gdsf->add(entry(2, 1000, 1));  // .001
  gdsf->add(entry(3, 100, 50));  // .5
  Evictable& used = entry(4, 1000, 1);
  gdsf->add(used);
  for (int i = 0; i < 99; ++i) gdsf->touch(used);  // .1 by its uses
  EXPECT_EQ(order_of(*gdsf), (std::vector<std::uint64_t>{2, 1, 4, 3}));
}

TEST_F(EvictionPolicyTest, GdsfAgesWhatWasOnceDear) {
  const auto gdsf = make_policy(Eviction::kGdsf);
  Evictable& dear = entry(1000, 100, 20);
  gdsf->add(dear);
  int survived = 0;
  for (std::uint64_t id = 0; id < 100; ++id, ++survived) {  // cheap ones come and go
    gdsf->add(entry(id, 100, 1));
    gdsf->add(entry(id + 200, 100, 1));
    Evictable* const gone = gdsf->pick(nullptr);
    gdsf->remove(*gone);
    if (gone == &dear) break;
    Evictable* const other = gdsf->pick(nullptr);
    gdsf->remove(*other);
    if (other == &dear) break;
  }
  EXPECT_GT(survived, 5) << "it is worth twenty of them";
  EXPECT_LT(survived, 40) << "but not for ever";
}

/// The plainest GDSF there is, over the same rounded values.
TEST_F(EvictionPolicyTest, GdsfPicksTheLeastPriorityOfAll) {
  const auto gdsf = make_policy(Eviction::kGdsf);
  std::mt19937 random(5);
  std::vector<Evictable*> held;
  for (int step = 0; step < 20'000; ++step) {
    const auto what = random() % 10;
    if (held.size() < 50 || what < 3) {
      held.push_back(&entry(static_cast<std::uint64_t>(step), 1 + random() % 100'000,
                            1e-6F * static_cast<float>(1 + random() % 10'000)));
      gdsf->add(*held.back());
    } else if (what < 7) {
      gdsf->touch(*held[random() % held.size()]);
    } else {
      Evictable* const spared = random() % 2 == 0 ? held[random() % held.size()] : nullptr;
      Evictable* const victim = gdsf->pick(spared);
      ASSERT_NE(victim, spared);
      for (const Evictable* other : held) ASSERT_TRUE(other == spared || victim->priority <= other->priority);
      gdsf->remove(*victim);
      std::erase(held, victim);
    }
  }
}

TEST_F(EvictionPolicyTest, S3FifoLetsAScanPass) {
  const auto fifo = make_policy(Eviction::kS3Fifo);
  std::set<std::uint64_t> held;
  const auto put = [&](std::uint64_t id) {
    while (held.size() >= 100) {
      Evictable* const victim = fifo->pick(nullptr);
      held.erase(victim->id());
      fifo->remove(*victim);
    }
    fifo->add(entry(id));
    held.insert(id);
  };
  for (std::uint64_t id = 0; id < 50; ++id) put(id);
  for (Evictable& used : entries_) fifo->touch(used);
  for (std::uint64_t id = 1000; id < 3000; ++id) put(id);
  EXPECT_EQ(std::count_if(held.begin(), held.end(), [](auto id) { return id < 50; }), 50)
      << "what was used stays while two thousand pass once";
  EXPECT_TRUE(held.contains(2999));
}

TEST_F(EvictionPolicyTest, EachHasANameOfItsOwn) {
  std::set<std::string> names;
  for (const Eviction kind : eviction_policies()) names.insert(to_string(kind));
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(names.size(), eviction_policies().size());
}

TEST_F(EvictionPolicyTest, NothingIsPickedWhereOnlyTheSparedIsLeft) {
  for (const Eviction kind : eviction_policies()) {
    const auto policy = make_policy(kind);
    EXPECT_EQ(policy->pick(nullptr), nullptr) << to_string(kind);
    Evictable& one = entry(1);
    policy->add(one);
    EXPECT_EQ(policy->pick(&one), nullptr) << to_string(kind);
    EXPECT_EQ(policy->pick(nullptr), &one) << to_string(kind);
    policy->remove(one);
  }
}

}  // namespace
}  // namespace pmt::response_cache
