// What compression was measured to keep, for the model that it was measured on: which tasks a ratio is safe
// for.
//
// A task is safe when at least 95% of what the full cache solved was still solved. The figures are those of
// ./dev eval compression (bench/results/2026-11-28-compression.json); a
// ratio between two measured ones is judged by the greater. Pure functions. Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "compression/mode.h"

namespace pmt::compression {

struct KvMeasurement {
  const char* task;
  Mode mode;
  double ratio;
  double kept;  // share; of perplexity full / compressed
  int n;        // questions that the full cache solved; texts for perplexity
};

inline constexpr double kSafeShare = 0.95;

/// Measurements on the model whose file has so many bytes; none for a model that wasn't measured.
std::span<const KvMeasurement> kv_measurements(std::int64_t file_bytes);

/// The measured tasks that `mode` keeps at `ratio`; all of them when it is exact.
std::vector<std::string> safe_tasks(std::int64_t file_bytes, Mode mode, double ratio);

}  // namespace pmt::compression
