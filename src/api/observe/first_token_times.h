// How long first tokens took, as counts in buckets: they add up over slots of time and tenants, and give percentiles.
// Bucket 0 ends at 0.5 ms; each further one is a third wider, so 48 of them reach 6 minutes, and a percentile is
// right within 15 %.
// Thread-safety: plain data.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace pmt::api {

struct FirstTokenTimes {
  static constexpr std::size_t kBuckets = 48;
  static constexpr double kFirstMs = 0.5, kPerDecade = 8;

  void add(double ms) {
    const double at = ms <= kFirstMs ? 0 : std::ceil(std::log10(ms / kFirstMs) * kPerDecade);
    ++counts[std::min(static_cast<std::size_t>(at), kBuckets - 1)];
  }
  FirstTokenTimes& operator+=(const FirstTokenTimes& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) counts[i] += other.counts[i];
    return *this;
  }
  FirstTokenTimes& operator-=(const FirstTokenTimes& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) counts[i] -= other.counts[i];
    return *this;
  }
  std::uint64_t samples() const {
    std::uint64_t sum = 0;
    for (const std::uint32_t count : counts) sum += count;
    return sum;
  }
  /// In milliseconds, by the nearest rank, the ranks of a bucket spread over its width; null without samples.
  std::optional<double> quantile(double share) const {
    const auto all = static_cast<double>(samples());
    if (all == 0) return {};
    double left = std::max(1.0, std::ceil(share * all));
    for (std::size_t i = 0; i < kBuckets; ++i) {
      const auto count = static_cast<double>(counts[i]);
      if (left <= count) {
        const double place = static_cast<double>(i) - 1 + (left - 0.5) / count;
        return kFirstMs * std::pow(10, place / kPerDecade);
      }
      left -= count;
    }
    return {};
  }

  std::array<std::uint32_t, kBuckets> counts{};
};

}  // namespace pmt::api
