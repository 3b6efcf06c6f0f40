// Where each cache is used, counted: the audit reads these and nothing else. A cache's owner adds to the cell
// of the surface (engine) on whose behalf it worked, and says for which model, tenant and key. The audit's figure of
// a surface is the sum over these, so /metrics, which shows each, can't disagree with it.
// Thread-safety: any thread may call anything. Cost: by_user.h.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/by_user.h"

namespace pmt::base {

/// Who used a cache: the audit's columns.
enum class Surface : std::uint8_t { kCompletions, kPermutation, kRlm, kUnified };
inline constexpr int kSurfaces = 4;
const char* to_string(Surface surface);

struct Use {
  std::uint64_t n = 1;
  std::int64_t tokens = 0;  // that the cache gave, reused, evicted or had accepted
  UserView who = {};
};

class UsageCounter {
 public:
  struct Cell {
    std::uint64_t count = 0;
    std::int64_t tokens = 0;
    std::int64_t last_unix_s = 0;
    Cell& operator+=(const Cell& other);
  };
  using Cells = std::array<Cell, kSurfaces>;  // by Surface
  /// `unix_s`: now, for "last used".
  void add(Surface surface, std::int64_t unix_s, const Use& use = Use()) {
    cells_.change(use.who, [&](Cells& cells) {
      cells[static_cast<std::size_t>(surface)] +=
          Cell{.count = use.n, .tokens = use.tokens, .last_unix_s = unix_s};
    });
  }
  void add_failure() { failures_.fetch_add(1, std::memory_order_relaxed); }

  ByUser<Cells>::Tallies by_user() const { return cells_.all(); }
  /// All users' together.
  Cell of(Surface surface) const;
  std::uint64_t count(Surface surface) const { return of(surface).count; }
  std::uint64_t failures() const { return failures_; }

 private:
  ByUser<Cells> cells_;
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace pmt::base
