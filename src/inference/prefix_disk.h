// A model's prefixes on the disk (note 0040): which of a prompt's blocks are read from there instead of by the model, and
// which that it has read are handed over to be written. Exact pages only.
//
// Invariant: pages that are yet to be written are pinned by a fork, which goes when they are written or wanted.
// Thread-safety: the scheduler's thread. Errors: none, a disk that fails is as one that knows nothing.
// Cost: names cost 1 us a block; reading a block is one file into the pool, about 1 ms.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "inference/engine_counters.h"
#include "inference/job.h"
#include "inference/local_model.h"
#include "kv_cache/disk/prefix_files.h"

namespace pmt::inference {

class PrefixDisk {
 public:
  /// All of them outlive it.
  PrefixDisk(kv_cache::PagePool& pool, const LocalModelOptions& options, const base::Clock& clock,
             EngineCounters& counters);
  /// Waits a while for what is yet to be written.
  ~PrefixDisk();
  PrefixDisk(const PrefixDisk&) = delete;
  PrefixDisk& operator=(const PrefixDisk&) = delete;

  bool on() const { return options_->prefix_files != nullptr; }
  /// Before anything of the job is read.
  void begin(Job& job) const;
  /// `found`, or a sequence of at least a block more of the prompt's first `tokens_max` tokens, where the disk has it.
  std::optional<kv_cache::SequenceKv> longer(Job& job, int tokens_max,
                                             std::optional<kv_cache::SequenceKv> found);
  /// Hands over what the choice has read and the disk doesn't have.
  void keep(Job& job, const PagedGeneration& generation);

  /// Lets go of what was written.
  void collect();
  /// Lets go of what would be written next. False: nothing waits.
  bool unpin_oldest();
  bool waits() const { return !pins_.empty(); }

 private:
  struct Pin {
    kv_cache::SequenceKv sequence;
    std::shared_ptr<const kv_cache::WriteTicket> ticket;
  };

  base::Digest root_of(const Job& job, const kv_cache::KvShape& shape) const;
  /// Appends the blocks `chain` from its end on, as far as they can be read. Returns how many.
  int read(std::span<const base::Digest> chain, kv_cache::SequenceKv& into);

  kv_cache::PagePool* pool_;
  const LocalModelOptions* options_;
  const base::Clock* clock_;
  EngineCounters* counters_;
  std::list<Pin> pins_;  // the oldest first
  std::string buffer_;   // a file
};

}  // namespace pmt::inference
