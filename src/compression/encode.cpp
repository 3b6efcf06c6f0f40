#include "compression/encode.h"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.h"
#include "compression/attention_match.h"
#include "compression/evicted_summary.h"
#include "compression/seen.h"
#include "kernels/page_layout.h"

namespace pmt::compression {
namespace {

constexpr int kMatchRows = 4 * kernels::kRowsMax;  // queries of a head's group that a table is matched for

std::size_t pages_for(std::size_t tokens) {
  return (tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
}

/// Keys and values of one table's kept tokens, in slot order.
struct Vectors {
  std::vector<float> keys, values;  // [kept, head_dim]
};

/// Works on one table after another; several threads share one.
class Encoder {
 public:
  Encoder(const kv_cache::SequenceKv& exact, const kv_cache::PagePool& pool, const Plan& plan,
          const EncodeOptions& options)
      : exact_(exact), pool_(pool), plan_(plan), options_(options), shape_(exact.shape()) {}

  kv_cache::CompactTables run() {
    check();
    kv_cache::CompactTables out;
    out.tokens = exact_.tokens();
    out.tail = plan_.tail;
    lay_out(out);
    if (is(Compensation::kSummary))
      summaries_ = std::make_shared<kv_cache::Summaries>(plan_.kept.size(), shape_.head_dim);
    if (is(Compensation::kMatch)) biases_ = std::make_shared<kv_cache::KeptBiases>(biased());
    {
      std::vector<std::jthread> helpers;
      for (int i = 1; i < options_.threads; ++i) helpers.emplace_back([&] { work(out); });
      work(out);
    }
    out.summaries = std::move(summaries_);
    out.biases = std::move(biases_);
    return out;
  }

 private:
  bool is(Compensation wanted) const { return options_.queries != nullptr && plan_.compensation == wanted; }

  void check() const {
    CHECK(!exact_.compact() && plan_.kept.size() == shape_.tables());
    CHECK(plan_.tail != kernels::PageCodec::kCompact);
    for (std::size_t t = 0; t < plan_.kept.size(); ++t) {
      const KeptTokens& kept = plan_.kept[t];
      CHECK(kept.coded.size() % kernels::kPageTokens == 0 && !kept.exact.empty());
      if (!shape_.is_local(t)) continue;
      const auto count = static_cast<int>(kept.size());
      const std::int32_t first = kept.coded.empty() ? kept.exact.front() : kept.coded.front();
      CHECK(first == exact_.tokens() - count && kept.exact.back() == exact_.tokens() - 1);
    }
  }

  /// Where each table's bytes begin.
  void lay_out(kv_cache::CompactTables& out) {
    std::size_t bytes = 0;
    for (const KeptTokens& kept : plan_.kept) {
      begin_.push_back(bytes);
      const std::size_t compact = pages_for(kept.coded.size());
      bytes += compact * compact_bytes() + pages_for(kept.exact.size()) * tail_bytes();
      out.tables.push_back({static_cast<int>(kept.size()), static_cast<int>(compact)});
    }
    out.pages.resize(bytes);
  }
  std::size_t compact_bytes() const { return kernels::compact_page_bytes(shape_.head_dim); }
  std::size_t tail_bytes() const { return kernels::page_bytes(plan_.tail, shape_.head_dim); }

  /// Tokens of each table that get a bias: all, or none where later queries miss nothing.
  std::vector<int> biased() const {
    std::vector<int> out;
    for (std::size_t t = 0; t < plan_.kept.size(); ++t) {
      const int count = static_cast<int>(plan_.kept[t].size());
      out.push_back(shape_.is_local(t) || count == exact_.tokens() ? 0 : count);
    }
    return out;
  }

  void work(kv_cache::CompactTables& out) {
    std::optional<SummaryFit> fit;
    if (summaries_) fit.emplace(*options_.kernels, shape_.head_dim, plan_.tail == kernels::PageCodec::kBytes);
    const auto scratch = biases_ ? std::make_unique<kernels::Scratch>() : nullptr;
    for (std::size_t t = next_++; t < plan_.kept.size(); t = next_++) {
      Vectors vectors = load(t);
      if (biases_) match(t, *scratch, vectors);
      store(vectors, plan_.kept[t], out.pages.data() + begin_[t]);
      if (fit) sum_up(t, *fit);
    }
  }

  std::span<const kv_cache::PageId> pages_of(std::size_t table) const {
    return exact_.table(shape_.layer_of(table), shape_.head_of(table)).pages;
  }

  void load_token(std::span<const kv_cache::PageId> pages, int token, float* key, float* value) const {
    options_.kernels->load_f16(pool_.data(pages[static_cast<std::size_t>(token / kernels::kPageTokens)]),
                               shape_.head_dim, token % kernels::kPageTokens, key, value);
  }

  Vectors load(std::size_t table) const {
    const KeptTokens& kept = plan_.kept[table];
    const auto width = static_cast<std::size_t>(shape_.head_dim);
    const auto pages = pages_of(table);
    Vectors out{std::vector<float>(kept.size() * width), std::vector<float>(kept.size() * width)};
    std::size_t at = 0;
    for (const auto* part : {&kept.coded, &kept.exact}) {
      for (const std::int32_t token : *part) {
        CHECK(token >= 0 && token < exact_.tokens());
        load_token(pages, token, &out.keys[at], &out.values[at]);
        at += width;
      }
    }
    return out;
  }

  /// As pages, written to `to`.
  void store(const Vectors& vectors, const KeptTokens& kept, std::byte* to) const {
    std::size_t at = 0;
    const auto each = [&](std::size_t tokens, auto put, std::size_t page_bytes) {
      for (std::size_t slot = 0; slot < tokens; ++slot, at += static_cast<std::size_t>(shape_.head_dim)) {
        put(&vectors.keys[at], &vectors.values[at], shape_.head_dim,
            static_cast<int>(slot % kernels::kPageTokens), to + page_bytes * (slot / kernels::kPageTokens));
      }
      to += page_bytes * pages_for(tokens);
    };
    each(kept.coded.size(), options_.kernels->store_compact, compact_bytes());
    each(kept.exact.size(), options_.kernels->store(plan_.tail), tail_bytes());
  }

  /// Fits biases, and the values, to the queries.
  void match(std::size_t table, kernels::Scratch& scratch, Vectors& vectors) {
    const std::span<std::int8_t> biases = biases_->steps(table);
    if (biases.empty()) return;
    const std::vector<float> rows = rows_for(*options_.queries, table, shape_.kv_heads, kMatchRows);
    static_assert(sizeof(kv_cache::PageId) == sizeof(std::uint32_t));
    kernels::HeadPages pages;
    pages.pool = pool_.base();
    pages.unit_bytes = pool_.unit_bytes();
    pages.ids = &pages_of(table).data()->value;
    const Seen whole = see(pages, exact_.tokens(), rows, shape_.head_dim, *options_.kernels, scratch);
    MatchFit(shape_.head_dim).fit(rows, whole, vectors.keys, vectors.values, biases);
  }

  /// Fits the table's summary to the queries.
  void sum_up(std::size_t table, SummaryFit& fit) {
    if (shape_.is_local(table)) return;
    std::vector<bool> stays(static_cast<std::size_t>(exact_.tokens()));
    for (const auto* part : {&plan_.kept[table].coded, &plan_.kept[table].exact}) {
      for (const std::int32_t token : *part) stays[static_cast<std::size_t>(token)] = true;
    }
    fit.begin();
    float key[kernels::kHeadDimMax];
    float value[kernels::kHeadDimMax];
    const auto pages = pages_of(table);
    for (int token = 0; token < exact_.tokens(); ++token) {
      load_token(pages, token, key, value);
      fit.add(key, value, stays[static_cast<std::size_t>(token)]);
    }
    const std::vector<float> rows = rows_for(*options_.queries, table, shape_.kv_heads, kSummaryRows);
    fit.finish(rows, plan_.summary_share, table, *summaries_);
  }

  const kv_cache::SequenceKv& exact_;
  const kv_cache::PagePool& pool_;
  const Plan& plan_;
  const EncodeOptions& options_;
  const kv_cache::KvShape& shape_;
  std::vector<std::size_t> begin_;  // of each table's bytes
  std::shared_ptr<kv_cache::Summaries> summaries_;
  std::shared_ptr<kv_cache::KeptBiases> biases_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace

kv_cache::CompactTables encode(const kv_cache::SequenceKv& exact, const kv_cache::PagePool& pool,
                               const Plan& plan, const EncodeOptions& options) {
  return Encoder(exact, pool, plan, options).run();
}

}  // namespace pmt::compression
