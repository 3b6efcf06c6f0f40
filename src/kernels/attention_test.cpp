#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/compact_codec_impl.h"
#include "kernels/f16.h"

namespace pmt::kernels {
namespace {

/// Mixed: the first half of the pages is compact, the others hold bytes.
enum class Pages { kExact, kCompact, kMixed, kBytes };

struct Shape {
  int head_dim, group, queries, visible_first;
  Pages pages = Pages::kExact;
  int window = 0;
};

/// What a compact page holds of one token, by the layout's own description.
void decode_compact(const std::byte* page, int head_dim, int slot, float* k, float* v) {
  const CompactLayout layout(head_dim);
  const auto byte_at = [&](int i) { return std::to_integer<unsigned>(page[i]); };
  const float key_scale = kScales.of[byte_at(layout.key_scales + slot)];
  const float value_scale = kScales.of[byte_at(layout.value_scales + slot)];
  const int wide = head_dim - kCompactTailDims;
  for (int d = 0; d < head_dim; ++d) {
    k[d] = key_scale * kWideTable[byte_at(d * 16 + slot % 16) >> (slot < 16 ? 0 : 4) & 15];
    if (d < wide) {
      v[d] = value_scale * kWideTable[byte_at(layout.values + (slot * wide + d) / 2) >> (d % 2 * 4) & 15];
      continue;
    }
    const int tail = layout.value_tails + slot * kCompactTailBytes;
    const int i = d - wide;
    const float size = kTailTable[byte_at(tail + i / 4) >> (2 * (i % 4)) & 3];
    v[d] = value_scale * ((byte_at(tail + 4 + i / 8) >> (i % 8) & 1) != 0 ? -size : size);
  }
  CompactCodec<void>::unrotate(k, head_dim);
  CompactCodec<void>::unrotate(v, head_dim);
}

/// The same of a page of bytes.
void decode_bytes(const std::byte* page, int head_dim, int slot, float* k, float* v) {
  const auto* keys = reinterpret_cast<const std::int8_t*>(page);
  const auto decode = [&](const std::int8_t* from, int stride, float* to) {
    unsigned scale = 0;
    for (int i = 0; i < 8; ++i) scale |= (static_cast<unsigned>(from[(head_dim - 8 + i) * stride]) & 1U) << i;
    for (int d = 0; d < head_dim; ++d) to[d] = static_cast<float>(from[d * stride]) * kScales.of[scale] / 32;
    CompactCodec<void>::unrotate(to, head_dim);
  };
  decode(keys + slot, kPageTokens, k);
  decode(keys + (kPageTokens + slot) * head_dim, 1, v);
}

/// A random sequence in pages, with the rounded keys and values kept beside for the naive answer.
class Fixture {
 public:
  Fixture(const Shape& shape, const AttentionKernels& kernels, std::uint32_t seed)
      : shape_(shape), rng_(seed) {
    tokens_ = shape.visible_first + shape.queries - 1;
    const int pages = (tokens_ + kPageTokens - 1) / kPageTokens;
    coded_ = shape.pages == Pages::kCompact ? pages : shape.pages == Pages::kMixed ? pages / 2 : 0;
    page_bytes_ = f16_page_bytes(shape.head_dim);
    pool_.assign(page_bytes_ * static_cast<std::size_t>(pages + 1), std::byte{0});
    ids_.resize(static_cast<std::size_t>(pages));
    for (int i = 0; i < pages; ++i) ids_[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(i + 1);
    std::shuffle(ids_.begin(), ids_.end(), rng_);
    std::normal_distribution<float> normal(0.0F, 1.5F);
    const auto fill = [&](std::vector<float>& v, int n) {
      v.resize(static_cast<std::size_t>(n));
      for (float& x : v) x = normal(rng_);
    };
    fill(keys_, tokens_ * shape.head_dim);
    fill(values_, tokens_ * shape.head_dim);
    fill(queries_, shape.queries * shape.group * shape.head_dim);
    for (int t = 0; t < tokens_; ++t) {
      std::byte* page = pool_.data() + page_bytes_ * ids_[static_cast<std::size_t>(t / kPageTokens)];
      const auto store = is_coded(t) ? kernels.store_compact : kernels.store(ends());
      store(&keys_[at(t)], &values_[at(t)], shape.head_dim, t % kPageTokens, page);
    }
    original_keys_ = keys_;
    original_values_ = values_;
    // From here on, what the pages hold.
    for (int t = 0; t < tokens_; ++t) {
      const std::byte* page = pool_.data() + page_bytes_ * ids_[static_cast<std::size_t>(t / kPageTokens)];
      const auto load = is_coded(t)                 ? decode_compact
                        : ends() == PageCodec::kF16 ? kernels.load_f16
                                                    : decode_bytes;
      load(page, shape.head_dim, t % kPageTokens, &keys_[at(t)], &values_[at(t)]);
    }
    // Whoever reads a page that no query sees finds something that isn't a number.
    std::fill_n(pool_.begin(), page_bytes_, std::byte{0xff});
    std::fill_n(ids_.begin(), tile_of(0, 1).hidden(0) / kPageTokens, 0U);
  }

  /// Queries [first, first + n) in one tile, segments folded in order.
  std::vector<float> run(const AttentionKernels& kernels, int first, int n) {
    AttentionTile tile = tile_of(first, n);
    kernels.load_queries(tile, *scratch_);
    const int rows = n * shape_.group;
    const int visible_last = tile.visible_first + n - 1;
    const int segments = (visible_last + kSegmentTokens - 1) / kSegmentTokens;
    kernels.attend_segment(tile, 0, *scratch_, scratch_->total);
    for (int s = 1; s < segments; ++s) {
      kernels.attend_segment(tile, s, *scratch_, scratch_->part);
      kernels.merge(rows, shape_.head_dim, scratch_->total, scratch_->part);
    }
    std::vector<float> out(static_cast<std::size_t>(rows * shape_.head_dim));
    kernels.finish(tile, scratch_->total, out.data(), shape_.group * shape_.head_dim);
    return out;
  }

  /// The same with a summary, and without it but with what it should add.
  std::pair<std::vector<float>, std::vector<double>> run_summed_up(const AttentionKernels& kernels,
                                                                   float bias, float score_max) {
    std::normal_distribution<float> normal(0.0F, 1.5F);
    const auto width = static_cast<std::size_t>(shape_.head_dim);
    std::vector<float> vectors(2 * width);
    for (float& x : vectors) x = f16_to_f32(f32_to_f16(normal(rng_)));
    std::vector<float> rotated = vectors;
    if (ends() == PageCodec::kBytes) {
      for (const std::size_t at : {std::size_t{0}, width}) {
        kernels.rotate(vectors.data() + at, rotated.data() + at, shape_.head_dim);
        for (std::size_t d = at; d < at + width; ++d) rotated[d] = f16_to_f32(f32_to_f16(rotated[d]));
      }
    }
    std::vector<std::uint16_t> halves;
    for (const float x : rotated) halves.push_back(f32_to_f16(x));

    AttentionTile tile = tile_of(0, shape_.queries);
    tile.summary = {halves.data(), bias, score_max};
    const std::vector<float> without = run(kernels, 0, shape_.queries);
    std::vector<double> want(without.begin(), without.end());
    for (std::size_t row = 0; row < want.size() / width; ++row) {
      double score = bias;
      for (std::size_t d = 0; d < width; ++d)
        score += double{queries_[row * width + d]} * tile.scale * vectors[d];
      const double seen = scratch_->total.max[row] + std::log(double{scratch_->total.sum[row]});
      const double share = 1 / (1 + std::exp(seen - std::min<double>(score, score_max)));
      for (std::size_t d = 0; d < width; ++d)
        want[row * width + d] += share * (vectors[width + d] - want[row * width + d]);
    }
    kernels.attend_summary(tile, *scratch_, scratch_->total);
    std::vector<float> got(want.size());
    kernels.finish(tile, scratch_->total, got.data(), shape_.group * shape_.head_dim);
    return {got, want};
  }

  /// Gives the first `tokens` tokens biases, which naive() takes into account.
  void bias(int tokens) {
    biases_.clear();
    for (int t = 0; t < tokens; ++t) biases_.push_back(static_cast<std::int8_t>(rng_()));
  }

  /// score_max over the first `tokens` tokens, from the given starting values.
  void score(const AttentionKernels& kernels, int tokens, std::vector<float>& into) {
    run(kernels, 0, shape_.queries);
    kernels.score_max(tile_of(0, shape_.queries), scratch_->total, tokens, *scratch_, into.data());
  }

  int tokens() const { return tokens_; }

  /// Relative root-mean-square errors of what the pages hold, keys and values.
  std::pair<double, double> coding_error() const {
    const auto error = [](const std::vector<float>& was, const std::vector<float>& is) {
      double off = 0, power = 0;
      for (std::size_t i = 0; i < was.size(); ++i) {
        off += std::pow(double{was[i]} - is[i], 2);
        power += std::pow(double{was[i]}, 2);
      }
      return std::sqrt(off / power);
    };
    return {error(original_keys_, keys_), error(original_values_, values_)};
  }

  /// The answer; with `greatest`, each token's greatest probability over the rows as well.
  std::vector<double> naive(std::vector<double>* greatest = nullptr) const {
    std::vector<double> out(queries_.size(), 0.0);
    if (greatest != nullptr) greatest->assign(static_cast<std::size_t>(tokens_), 0.0);
    const double scale = 1.0 / std::sqrt(shape_.head_dim);
    for (int row = 0; row < shape_.queries * shape_.group; ++row) {
      const int visible = shape_.visible_first + row / shape_.group;
      std::vector<double> p(static_cast<std::size_t>(visible));
      double top = -1e300;
      double sum = 0;
      const int hidden = shape_.window > 0 ? std::max(0, visible - shape_.window) : 0;
      for (int t = hidden; t < visible; ++t) {
        double dot = 0;
        for (int d = 0; d < shape_.head_dim; ++d) dot += double{queries_[row_at(row) + d]} * keys_[at(t) + d];
        const auto ti = static_cast<std::size_t>(t);
        p[ti] = dot * scale + (ti < biases_.size() ? double{kBiasStep} * biases_[ti] : 0.0);
        top = std::max(top, p[ti]);
      }
      for (int t = hidden; t < visible; ++t) {
        double& x = p[static_cast<std::size_t>(t)];
        sum += x = std::exp(x - top);
      }
      for (int t = hidden; t < visible; ++t) {
        const auto ti = static_cast<std::size_t>(t);
        if (greatest != nullptr) (*greatest)[ti] = std::max((*greatest)[ti], p[ti] / sum);
        for (int d = 0; d < shape_.head_dim; ++d) {
          out[row_at(row) + d] += p[static_cast<std::size_t>(t)] / sum * values_[at(t) + d];
        }
      }
    }
    return out;
  }

 private:
  AttentionTile tile_of(int first, int n) const {
    AttentionTile tile;
    tile.kv = {pool_.data(), page_bytes_, ids_.data(),
               coded_,       ends(),      {biases_.data(), static_cast<int>(biases_.size())}};
    tile.q_stride = shape_.group * shape_.head_dim;
    tile.q = queries_.data() + first * tile.q_stride;
    tile.queries = n;
    tile.group = shape_.group;
    tile.head_dim = shape_.head_dim;
    tile.scale = 1.0F / std::sqrt(static_cast<float>(shape_.head_dim));
    tile.visible_first = shape_.visible_first + first;
    tile.window = shape_.window;
    return tile;
  }
  PageCodec ends() const { return shape_.pages == Pages::kExact ? PageCodec::kF16 : PageCodec::kBytes; }
  bool is_coded(int t) const { return t / kPageTokens < coded_; }
  std::size_t at(int t) const { return static_cast<std::size_t>(t * shape_.head_dim); }
  std::size_t row_at(int row) const { return static_cast<std::size_t>(row * shape_.head_dim); }

  Shape shape_;
  std::mt19937 rng_;
  int tokens_ = 0;
  int coded_ = 0;  // leading compact pages
  std::vector<std::int8_t> biases_;
  std::size_t page_bytes_ = 0;
  std::vector<std::byte> pool_;
  std::vector<std::uint32_t> ids_;
  std::vector<float> keys_, values_, queries_, original_keys_, original_values_;
  std::unique_ptr<Scratch> scratch_ = std::make_unique<Scratch>();
};

class AttentionKernelsTest : public testing::TestWithParam<Isa> {};

TEST_P(AttentionKernelsTest, AgreesWithDoublePrecisionOnRandomShapes) {
  const AttentionKernels* kernels = attention_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this CPU lacks the instructions";
  std::mt19937 rng(7);
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng); };
  for (std::uint32_t round = 0; round < 100; ++round) {
    Shape shape{};
    shape.pages = round % 2 == 0 ? Pages::kExact : round % 4 == 1 ? Pages::kCompact : Pages::kMixed;
    const int least = shape.pages == Pages::kExact ? 1 : kCompactHeadDimMin / 16;
    shape.head_dim = 16 * pick(least, round % 3 == 0 ? 16 : 8);
    shape.group = pick(1, 9);
    shape.queries = pick(1, kRowsMax / shape.group);
    shape.visible_first = pick(1, round % 4 == 0 || round % 8 == 3 ? 2200 : 90);
    if (round % 5 < 2) shape.window = pick(1, round % 4 == 0 ? 1100 : 70);
    Fixture fixture(shape, *kernels, round);
    const auto got = fixture.run(*kernels, 0, shape.queries);
    const auto want = fixture.naive();
    for (std::size_t i = 0; i < want.size(); ++i) {
      ASSERT_NEAR(got[i], want[i], 2e-5)
          << "round " << round << " element " << i << " head_dim " << shape.head_dim << " group "
          << shape.group << " queries " << shape.queries << " visible " << shape.visible_first << " window "
          << shape.window;
    }
  }
}

TEST_P(AttentionKernelsTest, BiasesAreAddedToTheScoresOfTheFirstTokens) {
  const AttentionKernels* kernels = attention_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this CPU lacks the instructions";
  for (const Pages pages : {Pages::kExact, Pages::kMixed, Pages::kBytes}) {
    for (const int biased : {1, 32, 77, 300}) {
      Fixture fixture({64, 3, 16, 300, pages}, *kernels, 12);
      const auto before = fixture.run(*kernels, 0, 16);
      fixture.bias(biased);
      const auto got = fixture.run(*kernels, 0, 16);
      const auto want = fixture.naive();
      EXPECT_NE(got, before);
      for (std::size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(got[i], want[i], 2e-5) << i << " of " << biased;
    }
  }
}

TEST_P(AttentionKernelsTest, ASummaryCountsAsOneMoreToken) {
  const AttentionKernels* kernels = attention_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this CPU lacks the instructions";
  for (const Pages pages : {Pages::kExact, Pages::kMixed, Pages::kBytes}) {
    for (const float bias : {-3.0F, 4.0F}) {
      Fixture fixture({64, 3, 16, 300, pages}, *kernels, 12);
      const auto [got, want] = fixture.run_summed_up(*kernels, bias, 6.0F);
      for (std::size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(got[i], want[i], 4e-3) << i << " bias " << bias;
    }
  }
}

TEST_P(AttentionKernelsTest, ARowHasTheSameBitsInEveryTile) {
  const AttentionKernels* kernels = attention_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this CPU lacks the instructions";
  for (const auto& [pages, window] : {std::pair(Pages::kExact, 0),
                                      {Pages::kCompact, 0},
                                      {Pages::kMixed, 0},
                                      {Pages::kBytes, 0},
                                      {Pages::kExact, 506}}) {
    const Shape shape{64, 3, 16, 1015, pages, window};  // crosses a page and a segment boundary
    Fixture fixture(shape, *kernels, 3);
    const auto whole = fixture.run(*kernels, 0, 16);
    const std::size_t query_floats = 3 * 64;
    for (const int step : {1, 2, 5}) {
      for (int first = 0; first + step <= 16; first += step) {
        const auto part = fixture.run(*kernels, first, step);
        ASSERT_EQ(0, std::memcmp(part.data(), whole.data() + static_cast<std::size_t>(first) * query_floats,
                                 part.size() * sizeof(float)))
            << "queries " << first << " to " << first + step;
      }
    }
  }
}

TEST_P(AttentionKernelsTest, ACompactPageKeepsItsVectorsWithinTheCodesOwnError) {
  const AttentionKernels* kernels = attention_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this CPU lacks the instructions";
  for (const int head_dim : {32, 48, 64, 80, 128, 256}) {
    const Fixture fixture({head_dim, 1, 1, 900, Pages::kCompact}, *kernels, 8);
    const auto [keys, values] = fixture.coding_error();
    // Lloyd-Max for N(0, 1): 0.00954 of the power is lost at 16 levels, 0.0345 at 8 (a value's tail). The
    // search for the scale does a little better than that.
    const double tail = 16.0 / head_dim;
    const double keys_most = std::sqrt(0.00954);
    const double values_most = std::sqrt(0.00954 * (1 - tail) + 0.0345 * tail);
    EXPECT_LT(keys, keys_most * 1.02) << head_dim;
    EXPECT_GT(keys, keys_most * 0.75) << head_dim;
    EXPECT_LT(values, values_most * 1.02) << head_dim;
    EXPECT_GT(values, values_most * 0.75) << head_dim;
  }
}

TEST_P(AttentionKernelsTest, APageOfBytesLosesLittle) {
  const AttentionKernels* kernels = attention_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this CPU lacks the instructions";
  for (const int head_dim : {16, 48, 64, 128, 256}) {
    const Fixture fixture({head_dim, 1, 1, 900, Pages::kBytes}, *kernels, 9);
    const auto [keys, values] = fixture.coding_error();
    EXPECT_LT(keys, 0.009) << head_dim;
    EXPECT_LT(values, 0.009) << head_dim;
    EXPECT_GT(keys, 0.003) << head_dim;
  }
}

TEST_P(AttentionKernelsTest, ScoresAreEachTokensGreatestProbability) {
  const AttentionKernels* kernels = attention_kernels(GetParam());
  if (kernels == nullptr) GTEST_SKIP() << "this CPU lacks the instructions";
  for (const Shape shape : {Shape{64, 3, 16, 1015}, Shape{32, 1, 1, 1}, Shape{128, 4, 12, 77},
                            Shape{256, 4, 12, 700, Pages::kExact, 512}}) {
    Fixture fixture(shape, *kernels, 21);
    std::vector<double> want;
    fixture.naive(&want);
    for (const int tokens : {fixture.tokens(), std::max(1, fixture.tokens() - 40)}) {
      std::vector<float> got(
          static_cast<std::size_t>((tokens + kPageTokens - 1) / kPageTokens * kPageTokens));
      got[0] = 0.75F;  // what was found before stays when it is greater
      fixture.score(*kernels, tokens, got);
      EXPECT_NEAR(got[0], std::max(0.75, want[0]), 1e-5);
      for (std::size_t t = 1; t < static_cast<std::size_t>(tokens); ++t) ASSERT_NEAR(got[t], want[t], 1e-5);
    }
  }
}

std::string isa_name(const testing::TestParamInfo<Isa>& info) {
  return info.param == Isa::kScalar ? "scalar" : info.param == Isa::kAvx2 ? "avx2" : "avx512";
}
INSTANTIATE_TEST_SUITE_P(Isas, AttentionKernelsTest, testing::Values(Isa::kScalar, Isa::kAvx2, Isa::kAvx512),
                         isa_name);

TEST(AttentionKernels, BestIsTheWidestThatRuns) {
  EXPECT_EQ(best_attention_kernels().name, (attention_kernels(Isa::kAvx512) ? attention_kernels(Isa::kAvx512)
                                            : attention_kernels(Isa::kAvx2) ? attention_kernels(Isa::kAvx2)
                                                                            : attention_kernels(Isa::kScalar))
                                               ->name);
}

}  // namespace
}  // namespace pmt::kernels
