// What a local model's scheduler counts, each where it happens. Thread-safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "inference/local_model.h"

namespace pmt::inference {

struct EngineCounters {
  std::atomic<std::uint64_t> requests{0}, completed{0}, cancelled{0}, failed{0};
  std::atomic<std::uint64_t> prompt_tokens{0}, completion_tokens{0}, steps{0};
  std::atomic<std::uint64_t> compressed{0}, compressed_tokens{0}, evicted_tokens{0};
  std::atomic<std::uint64_t> decoding_compressed_tokens{0};
  std::atomic<std::uint64_t> drafted{0}, accepted{0}, drafted_by_model{0}, accepted_by_model{0};
  std::atomic<std::uint64_t> prefix_hits{0}, prefix_tokens{0}, prefix_queried{0};
  std::atomic<std::uint64_t> prefix_disk_hits{0}, prefix_disk_tokens{0}, prefix_disk_misses{0};
  std::atomic<std::int64_t> running{0}, waiting{0};  // jobs, now

  /// Without the forms, which are compiled before the scheduler sees them.
  EngineStats stats() const {
    EngineStats out;
    out.requests = requests;
    out.completed = completed;
    out.cancelled = cancelled;
    out.failed = failed;
    out.prompt_tokens = prompt_tokens;
    out.completion_tokens = completion_tokens;
    out.steps = steps;
    out.compressed = compressed;
    out.compressed_tokens = compressed_tokens;
    out.evicted_tokens = evicted_tokens;
    out.decoding_compressed_tokens = decoding_compressed_tokens;
    out.prefix_hits = prefix_hits;
    out.prefix_tokens = prefix_tokens;
    out.prefix_queried = prefix_queried;
    out.prefix_disk_hits = prefix_disk_hits;
    out.prefix_disk_tokens = prefix_disk_tokens;
    out.prefix_disk_misses = prefix_disk_misses;
    out.drafted = drafted;
    out.accepted = accepted;
    out.drafted_by_model = drafted_by_model;
    out.accepted_by_model = accepted_by_model;
    out.running = running;
    out.waiting = waiting;
    return out;
  }
};

}  // namespace pmt::inference
