// A tensor's rows of floats, and the sums of operators of ours over them. Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>

#include <ggml.h>

namespace pmt::model {

/// Row `row` of a tensor of f32.
inline float* row_of(const ggml_tensor* tensor, std::int64_t row) {
  return reinterpret_cast<float*>(static_cast<char*>(tensor->data) +
                                  static_cast<std::size_t>(row) * tensor->nb[1]);
}

/// `start` and the products of `count` pairs. One order, whatever is computed beside it.
inline float dot(const float* a, const float* b, std::int64_t count, float start = 0) {
  // Sixteen sums side by side: a single one would wait for itself.
  float sums[16] = {};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    for (std::int64_t j = 0; j < 16; ++j) sums[j] += a[i + j] * b[i + j];
  }
  for (; i < count; ++i) sums[0] += a[i] * b[i];
  return std::accumulate(sums, sums + 16, start);
}

}  // namespace pmt::model
