// Whether a model fits into the memory there is: decided before any weight is read. Thread-safety: pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pmt::inference {

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
