#include "inference/prefix_reuse.h"

#include <algorithm>
#include <utility>

#include "inference/prefix_scope.h"
#include "llm/shown_passages.h"

namespace pmt::inference {
namespace {

/// What was cut without a calibration serves nobody who has one.
kv_cache::PrefixKey prefix_key(const Job& job) {
  const bool apart = job.compression.active() && !job.compression.calibrated();
  return {apart ? job.prefix_scope + "\nuncalibrated" : job.prefix_scope, job.compression.ratio()};
}

/// Of pages that may hold tokens compressed while decoding, which serve nobody who wants them as they were written.
kv_cache::PrefixKey decoding_key(const Job& job) {
  const char* const scores = job.decoding.scored ? "" : " unscored";
  return {job.prefix_scope + "\ndecoding" + scores, job.decoding.ratio};
}

}  // namespace

PrefixReuse::PrefixReuse(kv_cache::PagePool& pool, const LocalModelOptions& options, const base::Clock& clock,
                         EngineCounters& counters)
    : pool_(&pool),
      options_(&options),
      clock_(&clock),
      counters_(&counters),
      prefixes_(pool, static_cast<std::int64_t>(options.prefix_bytes_max)),
      disk_(pool, options, clock, counters) {}

void PrefixReuse::reuse(Job& job) {
  settle();
  job.wipes_seen = wipes_seen_;
  disk_.begin(job);
  if (job.echo.scores()) return;  // the logits of all of its rows are wanted
  if (on()) counters_->prefix_queried += job.prompt.size();
  if (take_packs(job)) return;
  // The last token is read in any case: its logits choose the first of the answer.
  const int tokens_max = static_cast<int>(job.prompt.size()) - 1;
  kv_cache::Guessed guessed;
  std::optional<kv_cache::SequenceKv> found;
  if (job.compression.mode() != compression::Mode::kQueryAware) {
    if (job.decoding.on()) found = prefixes_.find(decoding_key(job), job.prompt, tokens_max);
    if (!found && (!job.decoding.on() || !job.compression.active()))
      found = prefixes_.find(prefix_key(job), job.prompt, tokens_max, &guessed);
  }
  if (!found && job.compression.active()) found = exact_prefix(job, guessed);
  if (!job.compression.active()) found = disk_.longer(job, tokens_max, std::move(found));
  if (!found) return;
  if (!found->compact()) job.compression.take(guessed, found->tokens());
  take(job, std::move(*found));
}

std::optional<kv_cache::SequenceKv> PrefixReuse::pack(const Job& job, std::size_t passage) {
  const auto at = [&](std::size_t cut) { return job.prompt.begin() + static_cast<std::ptrdiff_t>(cut); };
  std::vector<std::int32_t> tokens(job.prompt.begin(), at(job.passage_ends[0]));
  tokens.insert(tokens.end(), at(job.passage_ends[passage]), at(job.passage_ends[passage + 1]));
  const int wanted = static_cast<int>(tokens.size());
  auto found = prefixes_.find({tenant_scope(job.user.tenant), 1}, tokens, wanted);
  if (!found || found->tokens() < wanted) return std::nullopt;
  return found;
}

bool PrefixReuse::take_packs(Job& job) {
  const bool movable = turn_by_ && job.running[0].sequence().shape().local_layers() == 0;
  if (job.passage_ends.size() < 2 || !movable) return false;
  auto out = pack(job, 0);
  const int prefix = static_cast<int>(job.passage_ends[0]);
  for (std::size_t i = 1; out && i + 1 < job.passage_ends.size(); ++i) {
    const auto more = pack(job, i);
    const int tokens = static_cast<int>(job.passage_ends[i + 1] - job.passage_ends[i]);
    if (!more ||
        !kv_cache::append_moved({*pool_, *more, prefix, tokens}, turn_by_(out->tokens() - prefix), *out))
      return false;
  }
  if (!out) return false;
  job.kv.prefix_source = llm::kFromPacks;
  take(job, std::move(*out));
  return true;
}

void PrefixReuse::take(Job& job, kv_cache::SequenceKv found) {
  job.kv.prefix_tokens_reused = found.tokens();
  if (job.kv.prefix_source.empty()) job.kv.prefix_source = "memory";
  if (found.compact()) {
    if (!job.compression.active()) tell_coded(job);
    const std::int64_t tables = std::int64_t{found.shape().layers} * found.shape().kv_heads;
    job.kv.tokens_kept += found.slots() / tables - found.tokens();
  }
  job.running[0].adopt(std::move(found));
  ++counters_->prefix_hits;
  counters_->prefix_tokens += static_cast<std::uint64_t>(job.kv.prefix_tokens_reused);
  if (options_->prefix_usage != nullptr)
    options_->prefix_usage->add(job.surface, clock_->unix_seconds(),
                                {.tokens = job.kv.prefix_tokens_reused, .who = job.user.view()});
}

/// Of a prompt that is to be compressed: only as far as its scores are known, where they are guessed while it is read.
std::optional<kv_cache::SequenceKv> PrefixReuse::exact_prefix(Job& job, kv_cache::Guessed& guessed) {
  const kv_cache::PrefixKey exact{job.prefix_scope, 1};
  const int tokens_max = job.compression.prefix_tokens_max();
  auto found = prefixes_.find(exact, job.prompt, tokens_max, &guessed);
  if (!job.compression.needs_guesses()) return disk_.longer(job, tokens_max, std::move(found));
  if (!found || guessed == nullptr) return std::nullopt;
  const int known = std::min(found->tokens(), guessed->tokens);
  if (known < kv_cache::PrefixIndex::kTokensMin || known < found->tokens_min()) return std::nullopt;
  found->truncate(known);
  return found;
}

void PrefixReuse::remember(Job& job, const PagedGeneration& generation) {
  if (to_forget() || job.wipes_seen != wipes_seen_) return;  // it was read before something was wiped
  if (job.kv.prefix_source == llm::kFromPacks)
    return;  // its passages don't know of each other: exact requests must not see them
  disk_.keep(job, generation);
  if (job.compression.mode() == compression::Mode::kQueryAware) return;
  const bool compact = generation.sequence().compact();
  if (compact && job.decoding.on())
    return prefixes_.insert(decoding_key(job), generation.tokens(), generation.sequence());
  if (compact != job.compression.active()) return;
  prefixes_.insert(prefix_key(job), generation.tokens(), generation.sequence(), job.compression.guessed());
}

bool PrefixReuse::will_keep(const Job& job, const PagedGeneration& generation) const {
  return on() && generation.generated() == 0 && job.compression.mode() != compression::Mode::kQueryAware;
}

void PrefixReuse::give_up(std::size_t pages) {
  if (pages > pool_->pages_free() && gives_back_) gives_back_();
  disk_.collect();
  while (pages > pool_->pages_free() && prefixes_.drop_one()) {
  }
  while (pages > pool_->pages_free() && disk_.unpin_oldest()) {
  }
}

void PrefixReuse::settle() {
  disk_.collect();
  if (!to_forget()) return;
  const auto wipes = options_->prefix_wipes->since(wipes_seen_);
  wipes_seen_ = wipes.count;
  prefixes_.drop([&](const kv_cache::PrefixKey& key) {
    return wipes.all ||
           std::any_of(wipes.tenants.begin(), wipes.tenants.end(), [&](const std::string& tenant) {
             return key.scope.starts_with(tenant_scope(tenant));
           });
  });
}

}  // namespace pmt::inference
