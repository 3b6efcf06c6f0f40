// Where each cache is used, counted: the audit reads these and nothing else. A cache's owner adds to the cell
// of the surface (engine) on whose behalf it worked.
// Thread-safety: any thread may call anything; a reader sees each counter's own latest value.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace pmt::base {

/// Who used a cache: the audit's columns.
enum class Surface : std::uint8_t { kCompletions, kPermutation, kRlm, kUnified };
inline constexpr int kSurfaces = 4;
const char* to_string(Surface surface);

class UsageCounter {
 public:
  /// `unix_s`: now, for "last used".
  void add(Surface surface, std::int64_t unix_s, std::uint64_t n = 1) {
    auto& cell = cells_[static_cast<std::size_t>(surface)];
    cell.count.fetch_add(n, std::memory_order_relaxed);
    cell.last_unix_s.store(unix_s, std::memory_order_relaxed);
  }
  void add_failure() { failures_.fetch_add(1, std::memory_order_relaxed); }

  std::uint64_t count(Surface surface) const { return cells_[static_cast<std::size_t>(surface)].count; }
  /// 0 when never used.
  std::int64_t last_used_unix_s(Surface surface) const {
    return cells_[static_cast<std::size_t>(surface)].last_unix_s;
  }
  std::uint64_t failures() const { return failures_; }

 private:
  struct Cell {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::int64_t> last_unix_s{0};
  };
  std::array<Cell, kSurfaces> cells_;
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace pmt::base
