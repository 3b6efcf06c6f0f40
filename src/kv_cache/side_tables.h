// What lies beside a compact sequence's pages, for the attention to read: a summary of each table's evicted
// tokens, or a bias for each kept one (note 0018). How they are fitted is no business of this room.
//
// Shapes: tables are [layers * kv_heads]. Thread-safety: may be filled by several threads, a table each; const
// after. Cost: 2 halves a dimension and two floats a table for summaries; a byte a kept token for biases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/attention.h"

namespace pmt::kv_cache {

/// All tables' summaries: one key, one value and a bias each.
class Summaries {
 public:
  Summaries(std::size_t tables, int head_dim)
      : width_(2 * static_cast<std::size_t>(head_dim)),
        vectors_(tables * width_),
        limits_(tables, {-std::numeric_limits<float>::infinity(), 0}) {}

  kernels::Summary of(std::size_t table) const {
    if (limits_[table].bias == -std::numeric_limits<float>::infinity()) return {};
    return {vectors_.data() + table * width_, limits_[table].bias, limits_[table].score_max};
  }
  std::uint16_t* vectors(std::size_t table) { return vectors_.data() + table * width_; }
  void set(std::size_t table, float bias, float score_max) { limits_[table] = {bias, score_max}; }
  std::int64_t bytes() const {
    return static_cast<std::int64_t>(vectors_.size() * sizeof(std::uint16_t) +
                                     limits_.size() * sizeof(Limits));
  }

 private:
  struct Limits {
    float bias, score_max;
  };
  std::size_t width_;
  std::vector<std::uint16_t> vectors_;  // f16 [tables, 2, head_dim]
  std::vector<Limits> limits_;          // [tables]; a bias of -inf: nothing evicted
};

/// The biases of all tables' kept tokens, in slot order.
class KeptBiases {
 public:
  /// `kept`: tokens of each table that get one.
  explicit KeptBiases(const std::vector<int>& kept) : begin_{0} {
    for (const int tokens : kept) begin_.push_back(begin_.back() + static_cast<std::uint32_t>(tokens));
    all_.resize(begin_.back());
  }

  kernels::Biases of(std::size_t table) const {
    return {all_.data() + begin_[table], static_cast<int>(begin_[table + 1] - begin_[table])};
  }
  std::span<std::int8_t> steps(std::size_t table) {
    return {all_.data() + begin_[table], all_.data() + begin_[table + 1]};
  }
  std::int64_t bytes() const {
    return static_cast<std::int64_t>(all_.size() + begin_.size() * sizeof(std::uint32_t));
  }

 private:
  std::vector<std::uint32_t> begin_;  // [tables + 1]
  std::vector<std::int8_t> all_;
};

}  // namespace pmt::kv_cache
