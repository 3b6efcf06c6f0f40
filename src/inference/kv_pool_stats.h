// What GET /v1/kv shows of sequences, counted from themselves. Thread-safety: the scheduler's thread.
#pragma once

#include <cstdint>

#include "inference/job.h"
#include "inference/local_model.h"

namespace pmt::inference {

/// Of the sequences of `running`, of this shape; the pool's own figures are not in it. Cost: walks all tables.
KvPoolStats sequence_stats(const Jobs& running, const kv_cache::KvShape& shape);

/// Where the kept tokens of a sequence are, which has just been compressed.
CompressedPrompt compressed_prompt(const kv_cache::SequenceKv& sequence, std::int64_t tokens_kept);

}  // namespace pmt::inference
