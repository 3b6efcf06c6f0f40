// Whether a model fits into the memory there is: decided before any weight is read. Thread-safety: pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pmt::inference {

/// Activations of a step, logits, tokenizer, threads. An estimate, the same for every model: 60 to 180 MiB were
/// measured for those of 0.1 to 1.5B parameters; a larger one, or one with a larger vocabulary, may take more.
inline constexpr std::int64_t kWorkingBytes = std::int64_t{192} << 20;

struct MemoryNeed {
  std::string name;                     // the model's
  std::int64_t available = -1;          // negative: nobody knows, all fits
  std::int64_t weights = 0;             // bytes
  std::int64_t kv_bytes_max = 0;        // the pool's ceiling that is asked for
  std::int64_t kv_bytes_per_token = 0;  // of an exact sequence
};

struct MemoryFit {
  std::int64_t kv_bytes_max = 0;  // as asked, or what there is room for
  std::string warning = {};       // not empty: less than asked, by how much, and what fits into it
};

/// Errors: kUnavailable where the weights don't fit, or leave no room for a context worth the name: by how
/// much, and what would.
base::Result<MemoryFit> fit_memory(const MemoryNeed& need);

}  // namespace pmt::inference
