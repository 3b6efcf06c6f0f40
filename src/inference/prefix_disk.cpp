#include "inference/prefix_disk.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "kernels/attention.h"
#include "kernels/quant/matmul.h"
#include "kv_cache/disk/block_chain.h"

namespace pmt::inference {
namespace {

using kv_cache::kBlockTokens;

/// To be raised when pages lie otherwise, or when the graph or the kernels round otherwise: then what was written before
/// isn't what would be read now.
constexpr int kPagesVersion = 2;  // 2: keys of models with a bias are kept less their center
constexpr std::chrono::seconds kStopWait{10};
/// Read before it is judged whether reading is slower than computing: one block may be interrupted.
constexpr int kBlocksJudged = 4;

}  // namespace

PrefixDisk::PrefixDisk(kv_cache::PagePool& pool, const LocalModelOptions& options, const base::Clock& clock,
                       EngineCounters& counters)
    : pool_(&pool), options_(&options), clock_(&clock), counters_(&counters) {}

PrefixDisk::~PrefixDisk() {
  const auto until = std::chrono::steady_clock::now() + kStopWait;
  for (const Pin& pin : pins_) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (!options_->prefix_files->wait(*pin.ticket, std::max(left, std::chrono::milliseconds(0))))
      options_->prefix_files->cancel(*pin.ticket);
  }
}

void PrefixDisk::begin(Job& job) const {
  if (on()) job.disk_epoch = options_->prefix_files->epoch();
}

base::Digest PrefixDisk::root_of(const Job& job, const kv_cache::KvShape& shape) const {
  const kernels::QuantMatmul* const products = kernels::quant_matmul();
  const std::string settings =
      fmt::format("{} {} f16 {}x{}x{} window {} {} {}", kPagesVersion, options_->model_digest, shape.layers,
                  shape.kv_heads, shape.head_dim, shape.window, kernels::best_attention_kernels().name,
                  products != nullptr ? products->name : "ggml");
  return kv_cache::chain_root(options_->prefix_files->name_secret(), settings, job.prefix_scope);
}

std::optional<kv_cache::SequenceKv> PrefixDisk::longer(Job& job, int tokens_max,
                                                       std::optional<kv_cache::SequenceKv> found) {
  const int in_memory = found ? found->tokens() : 0;
  const auto wanted = std::min(job.prompt.size(), static_cast<std::size_t>(std::max(0, tokens_max)));
  if (!on() || (found && found->compact()) || static_cast<int>(wanted) < in_memory + kBlockTokens)
    return found;
  const kv_cache::KvShape& shape = job.running[0].sequence().shape();
  const auto chain =
      kv_cache::chain_of(root_of(job, shape), std::span<const std::int32_t>(job.prompt).first(wanted));
  const std::size_t there = options_->prefix_files->known(chain);
  if (static_cast<int>(there) * kBlockTokens < in_memory + kBlockTokens) {
    ++counters_->prefix_disk_misses;
    return found;
  }
  kv_cache::SequenceKv out(*pool_, shape);
  const int whole = in_memory / kBlockTokens * kBlockTokens;
  if (whole > 0 && whole >= found->tokens_min()) {
    out = found->fork();
    out.truncate(whole);
  }
  const int read_tokens = read(std::span(chain).first(there), out) * kBlockTokens;
  if (out.tokens() <= in_memory) {
    ++counters_->prefix_disk_misses;
    return found;
  }
  ++counters_->prefix_disk_hits;
  counters_->prefix_disk_tokens += static_cast<std::uint64_t>(read_tokens);
  job.kv.prefix_source = "disk";
  if (options_->prefix_disk_usage != nullptr)
    options_->prefix_disk_usage->add(job.surface, clock_->unix_seconds(),
                                     {.tokens = read_tokens, .who = job.user.view()});
  return out;
}

int PrefixDisk::read(std::span<const base::Digest> chain, kv_cache::SequenceKv& into) {
  int count = 0;
  double read_ms = 0, compute_ms = 0;
  for (auto i = static_cast<std::size_t>(into.tokens() / kBlockTokens); i < chain.size(); ++i) {
    kv_cache::BlockInfo info;
    const base::Nanos begun = clock_->now();
    const auto pages = options_->prefix_files->read(chain[i], buffer_, info);
    if (!pages || !into.append(*pages, kBlockTokens)) break;
    ++count;
    // What Admission does for prompts that are read otherwise.
    if (pool_->pages_free() <= pool_->pages_max() / 4) into.drop_unseen();
    read_ms += base::ms_between(begun, clock_->now());
    compute_ms += info.compute_ms;
    if (count >= kBlocksJudged && compute_ms > 0 && read_ms > compute_ms) break;
  }
  return count;
}

void PrefixDisk::keep(Job& job, const PagedGeneration& generation) {
  const kv_cache::SequenceKv& sequence = generation.sequence();
  if (!on() || job.compression.active() || sequence.compact()) return;
  collect();
  const auto tokens =
      std::span<const std::int32_t>(generation.tokens()).first(static_cast<std::size_t>(sequence.tokens()));
  const auto chain = kv_cache::chain_of(root_of(job, sequence.shape()), tokens);
  const auto computed = std::max<std::int64_t>(1, sequence.tokens() - job.kv.prefix_tokens_reused);
  const double block_ms =
      base::ms_between(job.admitted, clock_->now()) * kBlockTokens / static_cast<double>(computed);
  std::vector<kv_cache::BlockToWrite> blocks;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (options_->prefix_files->expects(chain[i])) continue;
    auto pages = sequence.exact_pages(static_cast<int>(i) * kBlockTokens, kBlockTokens);
    if (pages.empty()) break;
    blocks.push_back({.info = {.key = chain[i],
                               .parent = i == 0 ? base::Digest() : chain[i - 1],
                               .tokens = kBlockTokens,
                               .compute_ms = block_ms,
                               .written_unix_s = clock_->unix_seconds()},
                      .tenant = job.user.tenant,
                      .pages = std::move(pages)});
  }
  if (generation.generated() == 0 && !chain.empty()) job.kv.prefix_key = chain.back().hex();
  if (blocks.empty()) return;
  pins_.push_back({sequence.fork(kv_cache::Holder::kPrefix),
                   options_->prefix_files->submit(std::move(blocks), job.disk_epoch)});
}

void PrefixDisk::collect() {
  std::erase_if(pins_, [](const Pin& pin) { return pin.ticket->done(); });
}

bool PrefixDisk::unpin_oldest() {
  if (pins_.empty()) return false;
  options_->prefix_files->cancel(*pins_.front().ticket);
  pins_.pop_front();
  return true;
}

}  // namespace pmt::inference
