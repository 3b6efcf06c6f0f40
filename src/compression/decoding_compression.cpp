#include "compression/decoding_compression.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <thread>
#include <utility>

#include "base/check.h"
#include "compression/encode.h"
#include "compression/eviction.h"
#include "kernels/attention.h"

namespace pmt::compression {
namespace {

constexpr int kPage = kernels::kPageTokens;
constexpr int kSinks = 4;
constexpr float kUnknown = -1;

/// Works on one table after another; several threads share one.
class TailCoder {
 public:
  TailCoder(const kv_cache::SequenceKv& sequence, const kv_cache::PagePool& pool,
            const std::vector<std::vector<std::int32_t>>& kept)
      : sequence_(sequence), pool_(pool), kept_(kept), shape_(sequence.shape()) {}

  void run(int threads, kv_cache::CompactedTail& out) {
    const std::size_t page_bytes = kernels::compact_page_bytes(shape_.head_dim);
    std::size_t bytes = 0;
    for (const auto& tokens : kept_) {
      CHECK(tokens.size() % kPage == 0);
      begin_.push_back(bytes);
      out.compact_pages.push_back(static_cast<int>(tokens.size() / kPage));
      bytes += tokens.size() / kPage * page_bytes;
    }
    out.pages.resize(bytes);
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads; ++i) helpers.emplace_back([&] { work(out.pages.data()); });
    work(out.pages.data());
  }

 private:
  void work(std::byte* pages) {
    for (std::size_t t = next_++; t < kept_.size(); t = next_++) {
      if (!kept_[t].empty()) code(t, pages + begin_[t]);
    }
  }

  void code(std::size_t table, std::byte* to) const {
    const auto from = sequence_.table(shape_.layer_of(table), shape_.head_of(table));
    const auto tail = from.pages.subspan(static_cast<std::size_t>(from.compact_pages));
    const int ends = sequence_.tail_ends(table);
    float key[kernels::kHeadDimMax];
    float value[kernels::kHeadDimMax];
    for (std::size_t i = 0; i < kept_[table].size(); ++i) {
      const int slot = ends + kept_[table][i];
      const std::byte* page = pool_.data(tail[static_cast<std::size_t>(slot / kPage)]);
      kernels_.load_bytes(page, shape_.head_dim, slot % kPage, key, value);
      kernels_.store_compact(key, value, shape_.head_dim, static_cast<int>(i % kPage),
                             to + i / kPage * kernels::compact_page_bytes(shape_.head_dim));
    }
  }

  const kv_cache::SequenceKv& sequence_;
  const kv_cache::PagePool& pool_;
  const std::vector<std::vector<std::int32_t>>& kept_;
  const kv_cache::KvShape& shape_;
  const kernels::AttentionKernels& kernels_ = kernels::best_attention_kernels();
  std::vector<std::size_t> begin_;  // of each table's bytes
  std::atomic<std::size_t> next_{0};
};

/// What nobody asked about is as good as the others on average.
void fill_unknown(std::span<float> row) {
  float sum = 0;
  int known = 0;
  for (const float score : row) {
    if (score < 0) continue;
    sum += score;
    ++known;
  }
  std::replace(row.begin(), row.end(), kUnknown, known > 0 ? sum / static_cast<float>(known) : 0);
}

}  // namespace

kv_cache::CompactedTail code_tail(const kv_cache::SequenceKv& sequence, const kv_cache::PagePool& pool,
                                  int tokens, const std::vector<std::vector<std::int32_t>>& kept,
                                  int threads) {
  CHECK(kept.size() == sequence.shape().tables() && sequence.tail() == kernels::PageCodec::kBytes);
  kv_cache::CompactedTail out;
  out.tokens = tokens;
  TailCoder(sequence, pool, kept).run(threads, out);
  return out;
}

Plan plan_whole(const kv_cache::SequenceKv& exact, int recent_tokens) {
  const kv_cache::KvShape& shape = exact.shape();
  const int tokens = exact.tokens();
  const int coded = (tokens - kSinks - recent_tokens) / kPage * kPage;
  CHECK(coded > 0);
  Plan out{.kept = std::vector<KeptTokens>(shape.tables()), .tail = kernels::PageCodec::kBytes};
  for (std::size_t t = 0; t < out.kept.size(); ++t) {
    KeptTokens& kept = out.kept[t];
    if (shape.is_local(t)) {
      kept.exact.resize(static_cast<std::size_t>(std::min(shape.window, tokens)));
      std::iota(kept.exact.begin(), kept.exact.end(), tokens - static_cast<int>(kept.exact.size()));
      continue;
    }
    kept.coded.resize(static_cast<std::size_t>(coded));
    std::iota(kept.coded.begin(), kept.coded.end(), kSinks);
    kept.exact.resize(static_cast<std::size_t>(tokens - coded));
    std::iota(kept.exact.begin(), kept.exact.begin() + kSinks, 0);
    std::iota(kept.exact.begin() + kSinks, kept.exact.end(), kSinks + coded);
  }
  return out;
}

/// The number of tokens read at which the sequence is due next.
int DecodingCompression::due_at(const kv_cache::SequenceKv& sequence) const {
  const int uncoded = uncoded_tokens_max(options_);
  if (sequence.compact()) return sequence.tokens() - sequence.recent() + uncoded;
  if (!options_.codes_exact) return std::numeric_limits<int>::max();
  return std::max(options_.prompt_tokens, kSinks + uncoded);
}

int DecodingCompression::span_tokens(const kv_cache::SequenceKv& sequence, int pending) const {
  if (!on()) return pending;
  return std::max(1, std::min(pending, due_at(sequence) - sequence.tokens()));
}

bool DecodingCompression::due(const kv_cache::SequenceKv& sequence) const {
  return on() && sequence.tokens() >= due_at(sequence);
}

/// So that they begin with the first of the recent tokens.
void DecodingCompression::move_scores(const kv_cache::SequenceKv& sequence) {
  const std::size_t stride = kv_cache::ScoreBuffer::stride_for(uncoded_tokens_max(options_));
  if (scores_.values.empty())
    scores_ = {std::vector<float>(sequence.shape().tables() * stride, kUnknown), stride};
  const int first = sequence.tokens() - sequence.recent();
  const int by = first - std::exchange(scores_first_, first);
  if (by == 0) return;
  const bool overlaps = by > 0 && static_cast<std::size_t>(by) < stride;
  for (auto row = scores_.values.begin(); row != scores_.values.end();
       row += static_cast<std::ptrdiff_t>(stride)) {
    const auto end = row + static_cast<std::ptrdiff_t>(stride);
    std::fill(overlaps ? std::copy(row + by, end, row) : row, end, kUnknown);
  }
}

void DecodingCompression::observe(model::BatchSpan& span, const model::KvPredictor* predictor) {
  if (!wants_scores() || predictor == nullptr || !span.sequence->compact()) return;
  move_scores(*span.sequence);
  span.predictor = predictor;
  span.predicted = &scores_;
  span.predicted_first = scores_first_;
}

kv_cache::ScoreBuffer DecodingCompression::scores_of_slice(const kv_cache::SequenceKv& sequence) {
  if (!wants_scores()) return {};
  move_scores(sequence);
  constexpr std::size_t kStride = kSliceTokens;
  kv_cache::ScoreBuffer out{std::vector<float>(sequence.shape().tables() * kStride), kStride};
  for (std::size_t t = 0; t < sequence.shape().tables(); ++t) {
    const std::span<float> row(out.values.data() + t * kStride, kStride);
    std::copy_n(scores_.values.data() + t * scores_.stride, kStride, row.begin());
    fill_unknown(row);
  }
  return out;
}

base::Result<int> DecodingCompression::compress(kv_cache::SequenceKv& sequence,
                                                const kv_cache::PagePool& pool, int threads) {
  CHECK(due(sequence));
  if (!sequence.compact()) {
    const Plan what = plan_whole(sequence, options_.recent_tokens);
    kv_cache::CompactTables made = encode(sequence, pool, what, {.threads = threads});
    const int coded = (sequence.tokens() - kSinks - options_.recent_tokens) / kPage * kPage;
    made.recent = sequence.tokens() - kSinks - coded;
    TRY(sequence.adopt(made));
    return coded;
  }
  const auto kept = choose_coded(scores_of_slice(sequence), sequence.shape(), kSliceTokens, options_.ratio);
  TRY(sequence.compact_tail(code_tail(sequence, pool, kSliceTokens, kept, threads)));
  return kSliceTokens;
}

}  // namespace pmt::compression
