#include "kv_cache/key_turn.h"

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/f16.h"
#include "kernels/page_layout.h"

namespace pmt::kv_cache {
namespace {

constexpr int kDim = 64, kHalf = kDim / 2;
constexpr KvShape kShape{2, 3, kDim};

float angle(int pair, int places) {
  return static_cast<float>(places) * std::pow(10'000.0F, -static_cast<float>(pair) / kHalf);
}

KeyTurn turn_by(int places) {
  KeyTurn out;
  out.distance = kHalf;
  for (int i = 0; i < kHalf; ++i) {
    out.cos_sin.push_back(std::cos(angle(i, places)));
    out.cos_sin.push_back(std::sin(angle(i, places)));
  }
  return out;
}

class KeyTurnTest : public testing::Test {
 protected:
  /// A sequence whose token `t` has the key (cos, sin) of what its place and `tag` say, in each table its own.
  SequenceKv sequence(int tokens, int first_place, int tag) {
    SequenceKv out(*pool_, kShape);
    EXPECT_TRUE(out.reserve(tokens));
    for (std::size_t t = 0; t < kShape.tables(); ++t) {
      for (int i = 0; i < tokens; ++i) write(out, t, i, first_place + i, tag + i);
    }
    out.commit(tokens);
    return out;
  }
  void write(const SequenceKv& out, std::size_t table, int slot, int place, int value) {
    const auto pages = out.table(kShape.layer_of(table), kShape.head_of(table)).pages;
    std::byte* const page = pool_->data(pages[static_cast<std::size_t>(slot / kernels::kPageTokens)]);
    const int row = slot % kernels::kPageTokens;
    for (int i = 0; i < kHalf; ++i) {
      const float size = 1.0F + 0.1F * static_cast<float>(table);
      kernels::f16_page_keys(page)[i * kernels::kPageTokens + row] =
          kernels::f32_to_f16(size * std::cos(angle(i, place)));
      kernels::f16_page_keys(page)[(i + kHalf) * kernels::kPageTokens + row] =
          kernels::f32_to_f16(size * std::sin(angle(i, place)));
    }
    for (int d = 0; d < kDim; ++d)
      kernels::f16_page_values(page, kDim)[row * kDim + d] = static_cast<std::uint16_t>(value * 7 + d);
  }
  /// The greatest difference of a key from that of `place`, and whether the values are those of `value`.
  void expect_token(const SequenceKv& in, int slot, int place, int value) {
    for (std::size_t t = 0; t < kShape.tables(); ++t) {
      const auto pages = in.table(kShape.layer_of(t), kShape.head_of(t)).pages;
      const std::byte* const page = pool_->data(pages[static_cast<std::size_t>(slot / kernels::kPageTokens)]);
      const int row = slot % kernels::kPageTokens;
      const float size = 1.0F + 0.1F * static_cast<float>(t);
      for (int i = 0; i < kHalf; ++i) {
        const float cos = kernels::f16_to_f32(kernels::f16_page_keys(page)[i * kernels::kPageTokens + row]);
        const float sin =
            kernels::f16_to_f32(kernels::f16_page_keys(page)[(i + kHalf) * kernels::kPageTokens + row]);
        ASSERT_NEAR(cos, size * std::cos(angle(i, place)), 2e-3) << slot << " " << i;
        ASSERT_NEAR(sin, size * std::sin(angle(i, place)), 2e-3) << slot << " " << i;
      }
      for (int d = 0; d < kDim; ++d)
        ASSERT_EQ(kernels::f16_page_values(page, kDim)[row * kDim + d],
                  static_cast<std::uint16_t>(value * 7 + d));
    }
  }

  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(kDim), 8U << 20));
};

TEST_F(KeyTurnTest, MovedTokensHaveTheKeysOfTheirNewPlaces) {
  constexpr int kPrefix = 41, kFirst = 100, kSecond = 75;
  const SequenceKv pack = sequence(kPrefix + kSecond, 0, 1'000);
  SequenceKv out = sequence(kFirst, 0, 0);
  ASSERT_TRUE(append_moved({*pool_, pack, kPrefix, kSecond}, turn_by(kFirst - kPrefix), out));
  ASSERT_EQ(out.tokens(), kFirst + kSecond);
  for (int i = 0; i < kFirst; ++i) expect_token(out, i, i, i);
  for (int i = 0; i < kSecond; ++i) expect_token(out, kFirst + i, kFirst + i, 1'000 + kPrefix + i);
  for (int i = 0; i < kPrefix + kSecond; ++i) expect_token(pack, i, i, 1'000 + i);
}

TEST_F(KeyTurnTest, EachTableIsShiftedByItsOwn) {
  const SequenceKv pack = sequence(40, 0, 0);
  SequenceKv out = sequence(50, 0, 0);
  KeyTurn turn = turn_by(0);
  for (std::size_t t = 0; t < kShape.tables(); ++t) {
    for (int d = 0; d < kDim; ++d)
      turn.shift.push_back(0.01F * static_cast<float>(t) + 0.001F * static_cast<float>(d));
  }
  ASSERT_TRUE(append_moved({*pool_, pack, 10, 30}, turn, out));
  for (std::size_t t = 0; t < kShape.tables(); ++t) {
    const auto key = [&](const SequenceKv& of, int slot, int d) {
      const auto pages = of.table(kShape.layer_of(t), kShape.head_of(t)).pages;
      const std::byte* const page = pool_->data(pages[static_cast<std::size_t>(slot / kernels::kPageTokens)]);
      return kernels::f16_to_f32(
          kernels::f16_page_keys(page)[d * kernels::kPageTokens + slot % kernels::kPageTokens]);
    };
    for (int d = 0; d < kDim; ++d) {
      const float shift = turn.shift[t * kDim + static_cast<std::size_t>(d)];
      ASSERT_NEAR(key(out, 50 + 7, d), key(pack, 10 + 7, d) + shift, 1e-3) << t << " " << d;
    }
  }
}

TEST_F(KeyTurnTest, AForkThatGoesOnLeavesItsOriginAlone) {
  SequenceKv first = sequence(50, 0, 0);
  const SequenceKv pack = sequence(40, 0, 500);
  SequenceKv out = first.fork();
  ASSERT_TRUE(append_moved({*pool_, pack, 10, 30}, turn_by(40), out));
  for (int i = 0; i < 50; ++i) expect_token(first, i, i, i);
  EXPECT_EQ(first.tokens(), 50);
}

TEST_F(KeyTurnTest, AFullPoolLeavesTheSequenceAsItWas) {
  const SequenceKv pack = sequence(40, 0, 0);
  SequenceKv out(*pool_, kShape);
  const int fits = static_cast<int>(pool_->pages_free() / kShape.tables()) * kernels::kPageTokens;
  ASSERT_TRUE(out.reserve(fits));
  out.commit(fits);
  EXPECT_FALSE(append_moved({*pool_, pack, 0, 40}, turn_by(1), out));
  EXPECT_EQ(out.tokens(), fits);
}

}  // namespace
}  // namespace pmt::kv_cache
