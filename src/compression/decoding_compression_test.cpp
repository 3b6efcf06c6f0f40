#include "compression/decoding_compression.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "compression/compress_fixture.h"
#include "compression/eviction.h"

namespace pmt::compression {
namespace {

constexpr int kPage = kernels::kPageTokens;

class DecodingCompressionTest : public CompressFixture {
 protected:
  /// What a model would have appended: always the same at a position.
  void append(SequenceKv& sequence, int tokens) {
    ASSERT_TRUE(sequence.reserve(tokens));
    const auto table = sequence.table(LayerId(0), KvHeadId(0));
    for (int i = 0; i < tokens; ++i) {
      const int position = sequence.tokens() + i;
      rng_.seed(static_cast<std::uint32_t>(position));
      const auto key = random(1), value = random(1);
      const int slot = sequence.slot(LayerId(0), KvHeadId(0), position);
      kernels_.store(sequence.tail())(key.data(), value.data(), 64, slot % kPage,
                                      pool_->data(table.pages[static_cast<std::size_t>(slot / kPage)]));
    }
    sequence.commit(tokens);
  }
  /// Reads `tokens`, at most `span` at once, and compresses what becomes due.
  SequenceKv written(int tokens, int span, const DecodingOptions& options) {
    SequenceKv out(*pool_, kShape);
    DecodingCompression decoding(options);
    while (out.tokens() < tokens) {
      append(out, decoding.span_tokens(out, std::min(span, tokens - out.tokens())));
      while (decoding.due(out)) EXPECT_TRUE(decoding.compress(out, *pool_, 2));
    }
    return out;
  }
  std::vector<std::byte> bytes_of(const SequenceKv& sequence) const {
    const auto table = sequence.table(LayerId(0), KvHeadId(0));
    std::vector<std::byte> out;
    for (std::size_t i = 0; i < table.pages.size(); ++i) {
      const auto size = static_cast<int>(i) < table.compact_pages ? kv_cache::PageSize::kSmall
                        : sequence.compact()                      ? kv_cache::PageSize::kHalf
                                                                  : kv_cache::PageSize::kLarge;
      const std::byte* page = pool_->data(table.pages[i]);
      out.insert(out.end(), page, page + pool_->bytes_of(size));
    }
    return out;
  }

  /// Plain attention in double precision over the tokens at `positions`, as append() made them.
  std::vector<double> reference(const std::vector<int>& positions, const std::vector<float>& q) {
    std::vector<double> out(q.size());
    for (int g = 0; g < kGroup; ++g) {
      double sum = 0;
      for (const int position : positions) {
        rng_.seed(static_cast<std::uint32_t>(position));
        const auto key = random(1), value = random(1);
        double score = 0;
        for (std::size_t d = 0; d < 64; ++d)
          score += double{q[static_cast<std::size_t>(g) * 64 + d]} * key[d] * kScale;
        sum += std::exp(score);
        for (std::size_t d = 0; d < 64; ++d)
          out[static_cast<std::size_t>(g) * 64 + d] += std::exp(score) * value[d];
      }
      for (std::size_t d = 0; d < 64; ++d) out[static_cast<std::size_t>(g) * 64 + d] /= sum;
    }
    return out;
  }
  /// The root mean square of how far attention over the sequence is off, by that of what is wanted.
  double error(const SequenceKv& sequence, const std::vector<int>& positions) {
    double off = 0, all = 0;
    for (int i = 0; i < 20; ++i) {
      rng_.seed(static_cast<std::uint32_t>(1'000'000 + i));
      std::vector<float> q;
      for (int g = 0; g < kGroup; ++g) {
        const auto query = random(2);
        q.insert(q.end(), query.begin(), query.end());
      }
      const auto want = reference(positions, q);
      const auto got = attend(sequence, q);
      for (std::size_t d = 0; d < want.size(); ++d) {
        off += std::pow(want[d] - got[d], 2);
        all += std::pow(want[d], 2);
      }
    }
    return std::sqrt(off / all);
  }
  static std::vector<int> all(int tokens) {
    std::vector<int> out(static_cast<std::size_t>(tokens));
    std::iota(out.begin(), out.end(), 0);
    return out;
  }
};

TEST_F(DecodingCompressionTest, AttendsLikeAReferenceOverAllTokensAtFour) {
  const SequenceKv exact = written(900, 64, {});
  const SequenceKv coded = written(900, 64, {.ratio = 4, .recent_tokens = 64});
  ASSERT_FALSE(exact.compact());
  ASSERT_TRUE(coded.compact());
  EXPECT_EQ(coded.slots(), 900) << "nothing is evicted";
  EXPECT_LT(error(exact, all(900)), 0.002);
  EXPECT_LT(error(coded, all(900)), 0.2) << "four bits";
  EXPECT_GT(error(coded, all(800)), 0.3) << "a hundred tokens would be missed";
}

TEST_F(DecodingCompressionTest, AttendsLikeAReferenceOverWhatASliceKeeps) {
  SequenceKv sequence = written(600, 64, {.ratio = 4, .recent_tokens = 160});
  const int first = sequence.tokens() - sequence.recent();
  std::vector<std::int32_t> kept;  // every other token of a slice
  for (int i = 0; i < kSliceTokens; i += 2) kept.push_back(i);
  ASSERT_TRUE(sequence.compact_tail(code_tail(sequence, *pool_, kSliceTokens, {kept}, 2)));
  std::vector<int> left;
  for (const int position : all(600)) {
    const int of_slice = position - first;
    if (of_slice < 0 || of_slice >= kSliceTokens || of_slice % 2 == 0) left.push_back(position);
  }
  EXPECT_EQ(sequence.slots(), static_cast<std::int64_t>(left.size()));
  EXPECT_LT(error(sequence, left), 0.2);
  EXPECT_GT(error(sequence, all(600)), 1.2 * error(sequence, left));
}

TEST_F(DecodingCompressionTest, TheBytesDontDependOnHowItWasRead) {
  const DecodingOptions options{.ratio = 4, .recent_tokens = 96, .prompt_tokens = 300};
  const SequenceKv one_by_one = written(1000, 1, options);
  for (const int span : {7, 64, 512}) {
    const SequenceKv other = written(1000, span, options);
    EXPECT_EQ(other.recent(), one_by_one.recent());
    EXPECT_EQ(bytes_of(other), bytes_of(one_by_one)) << span;
  }
}

TEST_F(DecodingCompressionTest, MemoryStaysAtTheRatio) {
  for (const double ratio : {4.0, 8.0}) {
    const DecodingOptions options{.ratio = ratio, .recent_tokens = 64};
    const SequenceKv sequence = written(8000, 64, options);
    const double coded = 8000 * 4 * 64 / 4.0;  // unscored: all that leaves the window is kept
    EXPECT_LT(static_cast<double>(sequence.held().pages), coded + 7 * 4096);
    EXPECT_LE(sequence.recent(), uncoded_tokens_max(options));
  }
  EXPECT_FALSE(written(2000, 64, {.ratio = 2}).compact()) << "off";
  EXPECT_FALSE(written(2000, 64, {.ratio = 4, .codes_exact = false}).compact());
  EXPECT_FALSE(written(300, 64, {.ratio = 4, .prompt_tokens = 400}).compact()) << "its prompt is read first";
}

TEST_F(DecodingCompressionTest, ScoresOfASliceAreThoseOfItsTokens) {
  const DecodingOptions options{.ratio = 8, .recent_tokens = 64};
  SequenceKv sequence(*pool_, kShape);
  DecodingCompression decoding(options);
  const model::KvPredictor predictor;
  while (sequence.tokens() < 1200) {
    model::BatchSpan span{&sequence, {}, {}};
    decoding.observe(span, &predictor);
    const int tokens = decoding.span_tokens(sequence, 50);
    if (span.predicted != nullptr) {  // as the model would: the tokens of one page in two matter
      for (int i = 0; i < tokens; ++i) {
        const int position = sequence.tokens() + i;
        span.predicted->values[static_cast<std::size_t>(position - span.predicted_first)] =
            position / kPage % 2 == 0 ? 1.0F : 0.001F;
      }
    }
    append(sequence, tokens);
    while (decoding.due(sequence)) ASSERT_TRUE(decoding.compress(sequence, *pool_, 2));
  }
  std::vector<int> left;
  const int recent = sequence.tokens() - sequence.recent();
  for (const int position : all(1200)) {
    const bool scored = position >= 4 + 64 + kSliceTokens && position < recent;
    if (!scored || position / kPage % 2 == 0) left.push_back(position);
  }
  EXPECT_NEAR(static_cast<double>(sequence.slots()), static_cast<double>(left.size()), 64);
  EXPECT_LT(error(sequence, left), 0.3);
  EXPECT_GT(error(sequence, all(1200)), 1.5 * error(sequence, left));
}

TEST(ChooseCoded, TablesCompeteForTheirShare) {
  const kv_cache::KvShape shape{1, 2, 64};
  kv_cache::ScoreBuffer scores{std::vector<float>(256), 128};
  for (std::size_t t = 0; t < 128; ++t) {
    scores.values[t] = t % 2 == 0 ? 1 : 0.5F;
    scores.values[128 + t] = 0.1F;
  }
  const auto kept = choose_coded(scores, shape, 128, 8);
  EXPECT_EQ(kept[0].size() + kept[1].size(), 128U) << "half of two tables' tokens";
  EXPECT_EQ(kept[0].size(), 128U);
  const auto few = choose_coded(scores, shape, 128, 16);
  ASSERT_EQ(few[0].size(), 64U);
  EXPECT_TRUE(std::all_of(few[0].begin(), few[0].end(), [](auto token) { return token % 2 == 0; }));
  EXPECT_TRUE(std::is_sorted(few[0].begin(), few[0].end()));
  EXPECT_EQ(choose_coded({}, shape, 128, 16)[1].size(), 128U) << "unscored";
}

}  // namespace
}  // namespace pmt::compression
