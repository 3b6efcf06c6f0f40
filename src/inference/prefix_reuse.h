// What one request reads serves the next that begins alike (note 0006): when a job goes on from a prefix, what of it
// is kept for others, and what is given up when requests need the room.
//
// Passages of documents (note 0046) are prefixes, too: each was read behind the prompt's beginning. The first goes on
// from there; further ones are copied to where they stand now, their keys turned by the distance.
//
// A question looks for something of its own, so the pages of query-aware compression are nobody else's. But every
// compressed prompt may go on from an exact prefix whose tokens' scores were kept.
// Thread-safety: the scheduler's thread. Errors: none. Cost: kv_cache/prefix_index.h.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "inference/engine_counters.h"
#include "inference/job.h"
#include "inference/prefix_disk.h"
#include "kv_cache/key_turn.h"
#include "kv_cache/prefix_index.h"

namespace pmt::inference {

class PrefixReuse {
 public:
  /// All of them outlive it; `pool` is where the jobs' pages are.
  PrefixReuse(kv_cache::PagePool& pool, const LocalModelOptions& options, const base::Clock& clock,
              EngineCounters& counters);

  /// Puts what another request has read of this prompt into the job's first choice. Requires: nothing of it was read.
  void reuse(Job& job);
  /// Keeps what the choice has read.
  void remember(Job& job, const PagedGeneration& generation);
  /// Whether the prompt that the choice still reads is likely to be kept: then its pages at the front stay.
  bool will_keep(const Job& job, const PagedGeneration& generation) const;
  /// Until this many large pages are free, or no prefix is left. Then what is yet to be written to the disk goes, too.
  void give_up(std::size_t pages);
  /// Lets go of what was written to the disk meanwhile, and of what was wiped. Between steps.
  void settle();
  /// Whether settle() will soon have something to do though no request comes.
  bool unsettled() const { return disk_.waits(); }
  bool to_forget() const {
    return options_->prefix_wipes != nullptr && options_->prefix_wipes->count() != wipes_seen_;
  }
  /// `gives_back` is called before the first prefix goes: it frees what has less right to its pages.
  void when_short(std::function<void()> gives_back) { gives_back_ = std::move(gives_back); }

  /// How keys are turned to stand so many tokens later; without it no passages are moved.
  using TurnBy = std::function<kv_cache::KeyTurn(int tokens)>;
  void turns_keys(TurnBy turn) { turn_by_ = std::move(turn); }

  bool on() const { return options_->prefix_bytes_max > 0 || disk_.on(); }
  const kv_cache::PrefixIndex& index() const { return prefixes_; }

 private:
  std::optional<kv_cache::SequenceKv> exact_prefix(Job& job, kv_cache::Guessed& guessed);
  void take(Job& job, kv_cache::SequenceKv found);
  /// False: not all of the job's passages have been read, and nothing was done.
  bool take_packs(Job& job);
  std::optional<kv_cache::SequenceKv> pack(const Job& job, std::size_t passage);

  kv_cache::PagePool* pool_;
  const LocalModelOptions* options_;
  const base::Clock* clock_;
  EngineCounters* counters_;
  kv_cache::PrefixIndex prefixes_;
  PrefixDisk disk_;
  std::uint64_t wipes_seen_ = 0;
  std::function<void()> gives_back_;
  TurnBy turn_by_;
};

}  // namespace pmt::inference
