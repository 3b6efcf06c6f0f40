// What compression makes of fixed inputs, as hashes: which tokens are kept, the pages' bytes, biases and
// summaries. They hold still while the code around them is moved. A change that is meant to change them says
// so and writes the new ones here (the failure prints them).
#include <array>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "compression/encode.h"
#include "compression/plan.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::compression {
namespace {

using kv_cache::KvHeadId;
using kv_cache::KvShape;
using kv_cache::LayerId;
using kv_cache::PagePool;
using kv_cache::ReferenceQueries;
using kv_cache::ScoreBuffer;
using kv_cache::SequenceKv;

constexpr KvShape kGolden{4, 2, 64};
constexpr int kTokens = 700, kQuestion = 20, kTurn = 8, kGroupSize = 3;

struct Case {
  unsigned seed;
  bool aware;
  double ratio;
};

/// Inputs that are the same with every standard library: its generator is specified, its distributions not.
class Inputs {
 public:
  explicit Inputs(unsigned seed) : generator_(seed) {}
  /// Between -1 and 1, more often near 0.
  float next() {
    float sum = 0;
    for (int i = 0; i < 3; ++i) sum += static_cast<float>(generator_() >> 8) / static_cast<float>(1U << 24);
    return sum * 2 / 3 - 1;
  }
  std::array<float, 64> row() {
    std::array<float, 64> out{};
    for (float& x : out) x = 3 * next();
    return out;
  }

 private:
  std::mt19937 generator_;
};

class Golden : public testing::Test {
 protected:
  /// The slowest kernels, since every machine has them.
  const kernels::AttentionKernels& kernels_ = *kernels::attention_kernels(kernels::Isa::kScalar);
  std::unique_ptr<PagePool> pool_ = std::move(*PagePool::create(kernels::f16_page_bytes(64), 64U << 20));

  SequenceKv read(Inputs& inputs) {
    SequenceKv out(*pool_, kGolden);
    EXPECT_TRUE(out.reserve(kTokens));
    for (std::uint32_t layer = 0; layer < 4; ++layer) {
      for (std::uint32_t head = 0; head < 2; ++head) {
        const kv_cache::PageId* pages = out.table(LayerId(layer), KvHeadId(head)).pages.data();
        for (int t = 0; t < kTokens; ++t) {
          const auto key = inputs.row(), value = inputs.row();
          kernels_.store_f16(key.data(), value.data(), 64, t % kernels::kPageTokens,
                             pool_->data(pages[t / kernels::kPageTokens]));
        }
      }
    }
    out.commit(kTokens);
    return out;
  }

  static ScoreBuffer scores(Inputs& inputs) {
    ScoreBuffer out{{}, ScoreBuffer::stride_for(kTokens)};
    out.values.resize(8 * out.stride);
    for (float& score : out.values) score = std::abs(inputs.next());
    return out;
  }

  static ReferenceQueries queries(Inputs& inputs) {
    ReferenceQueries out{kTokens - kQuestion - kTurn, kQuestion + kTurn, kGroupSize * 2, 64, 0.125F, {}};
    for (int i = 0; i < 4 * out.tokens * out.heads; ++i) {
      const auto query = inputs.row();
      out.values.insert(out.values.end(), query.begin(), query.end());
    }
    return out;
  }

  std::string hash_of(const SequenceKv& sequence) const {
    std::string bytes;
    const auto add = [&bytes](const void* from, std::size_t size) {
      bytes.append(static_cast<const char*>(from), size);
    };
    for (std::uint32_t layer = 0; layer < 4; ++layer) {
      for (std::uint32_t head = 0; head < 2; ++head) {
        const SequenceKv::Table table = sequence.table(LayerId(layer), KvHeadId(head));
        for (std::size_t i = 0; i < table.pages.size(); ++i) {
          const bool compact = static_cast<int>(i) < table.compact_pages;
          add(pool_->data(table.pages[i]),
              kernels::page_bytes(compact ? kernels::PageCodec::kCompact : sequence.tail(), 64));
        }
        add(table.biases.steps, static_cast<std::size_t>(table.biases.tokens));
        const kernels::Summary& summary = table.summary;
        if (summary.vectors == nullptr) continue;
        add(summary.vectors, 2 * 64 * sizeof *summary.vectors);
        add(&summary.bias, sizeof summary.bias);
        add(&summary.score_max, sizeof summary.score_max);
      }
    }
    return base::sha256(bytes).hex().substr(0, 16);
  }

  std::string compressed(const Case& one) {
    Inputs inputs(one.seed);
    SequenceKv sequence = read(inputs);
    const ScoreBuffer ranked = scores(inputs);
    const ReferenceQueries asked = queries(inputs);
    PlanRequest request{.ratio = one.ratio, .tokens = kTokens};
    if (one.aware) request.question = {kTokens - kQuestion - kTurn, kTokens - kTurn, kTokens};
    const Plan what = plan(ranked, kGolden, request);
    EXPECT_TRUE(sequence.adopt(encode(sequence, *pool_, what, {.kernels = &kernels_, .queries = &asked})));
    return hash_of(sequence);
  }
};

TEST_F(Golden, CompressionOfFixedInputs) {
  const std::map<std::string, std::string> golden = {
      {"1 agnostic 2", "1a894d9a243ddd7b"}, {"1 agnostic 64", "3e7418963be8f3ff"},
      {"1 agnostic 8", "85ee7d6471fff034"}, {"1 aware 2", "661e6374691c1384"},
      {"1 aware 64", "35fc1ed54d25182f"},   {"1 aware 8", "80944352af69e917"},
      {"2 agnostic 2", "c7426ad2c4d88d7f"}, {"2 agnostic 64", "2bc1c2484fbb1bde"},
      {"2 agnostic 8", "e152fdb2f8445459"}, {"2 aware 2", "0cd97af4d8693f80"},
      {"2 aware 64", "4222d9b206bdfe60"},   {"2 aware 8", "d12ae24be8d47e7e"},
      {"3 agnostic 2", "351789d1a4b1c94b"}, {"3 agnostic 64", "f7480a8b79859ade"},
      {"3 agnostic 8", "44fe2e774a3adb0e"}, {"3 aware 2", "70d297069fb5ad8c"},
      {"3 aware 64", "ba08f657d5765176"},   {"3 aware 8", "114bca418ecdd524"},
  };
  for (const unsigned seed : {1U, 2U, 3U}) {
    for (const bool aware : {false, true}) {
      for (const double ratio : {2.0, 8.0, 64.0}) {
        const std::string name = std::to_string(seed) + (aware ? " aware " : " agnostic ") +
                                 std::to_string(static_cast<int>(ratio));
        const auto known = golden.find(name);
        const std::string hash = compressed({seed, aware, ratio});
        EXPECT_EQ(known == golden.end() ? "" : known->second, hash)
            << "{\"" << name << "\", \"" << hash << "\"},";
      }
    }
  }
}

}  // namespace
}  // namespace pmt::compression
