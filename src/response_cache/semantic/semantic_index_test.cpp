#include "response_cache/semantic/semantic_index.h"

#include <cmath>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace pmt::response_cache {
namespace {

using Vector = std::vector<float>;

Vector random_vector(std::mt19937& random, const Vector* near = nullptr, float noise = 1) {
  std::normal_distribution<float> normal;
  Vector v(384);
  double squares = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    v[i] = (near != nullptr ? (*near)[i] * std::sqrt(384.0F) : 0) + noise * normal(random);
    squares += static_cast<double>(v[i]) * v[i];
  }
  for (float& x : v) x = static_cast<float>(x / std::sqrt(squares));
  return v;
}

float cosine(const Vector& a, const Vector& b) {
  float sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Key key_of(int i) {
  return base::sha256(std::to_string(i));
}

TEST(SemanticIndex, FindsWhatExhaustiveSearchFinds) {
  std::mt19937 random(5);
  SemanticIndex index({});
  std::vector<Vector> all;
  for (int i = 0; i < 3000; ++i) {
    all.push_back(random_vector(random));
    index.add({}, key_of(i), PackedVector::of(all.back()));
  }
  for (int i = 0; i < 200; ++i) {
    const Vector asked = random_vector(random, &all[static_cast<std::size_t>(i)], 0.7F);  // cosine about .8
    const auto near = index.nearest({}, asked, 1);
    ASSERT_EQ(near.size(), 1U);
    EXPECT_EQ(near[0].key, key_of(i));
    EXPECT_NEAR(near[0].cosine, cosine(asked, all[static_cast<std::size_t>(i)]), 0.005);
  }
}

TEST(SemanticIndex, ScopesNeverMix) {
  std::mt19937 random(6);
  SemanticIndex index({});
  const Vector v = random_vector(random);
  index.add(base::sha256("a"), key_of(1), PackedVector::of(v));
  EXPECT_TRUE(index.nearest(base::sha256("b"), v, 8).empty());
  EXPECT_EQ(index.nearest(base::sha256("a"), v, 8).size(), 1U);
}

TEST(SemanticIndex, TheOldestMakesRoom) {
  std::mt19937 random(7);
  SemanticIndex index({.entries_max = 3});
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 5; ++i) {
    const auto added = index.add({}, key_of(i), PackedVector::of(random_vector(random)));
    ids.push_back(added.id);
    EXPECT_EQ(added.removed, i < 3 ? 0 : ids[static_cast<std::size_t>(i - 3)]);
  }
  EXPECT_EQ(index.size(), 3U);
}

TEST(SemanticIndex, AgreesWithANaiveOneUnderRandomAddAndRemove) {
  std::mt19937 random(8);
  SemanticIndex index({});
  std::map<std::uint64_t, std::pair<int, Vector>> naive;
  for (int step = 0; step < 2000; ++step) {
    if (naive.size() > 20 && random() % 3 == 0) {
      const auto victim = std::next(naive.begin(), static_cast<std::ptrdiff_t>(random() % naive.size()));
      EXPECT_TRUE(index.remove(victim->first));
      EXPECT_FALSE(index.remove(victim->first));
      naive.erase(victim);
    } else {
      const Vector v = random_vector(random);
      naive[index.add({}, key_of(step), PackedVector::of(v)).id] = {step, v};
    }
    ASSERT_EQ(index.size(), naive.size());
  }
  for (const auto& [id, item] : naive) {
    const auto near = index.nearest({}, item.second, 1);
    ASSERT_EQ(near.size(), 1U);
    EXPECT_EQ(near[0].id, id);
    EXPECT_EQ(near[0].key, key_of(item.first));
  }
}

}  // namespace
}  // namespace pmt::response_cache
