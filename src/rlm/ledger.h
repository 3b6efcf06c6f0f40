// One budget over a whole tree of calls: tokens, dollars, seconds, calls. A call reserves what it may take at
// most before it starts and settles what it took, so that calls side by side can't overrun the budget
// together. Thread-safety: any thread may call anything.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/result.h"

namespace pmt::rlm {

struct BudgetLimits {
  std::optional<std::int64_t> tokens = {};  // prompts and answers
  std::optional<double> usd = {};
  std::optional<double> seconds = {};
  std::int64_t calls = 10'000;
};

struct Spent {
  std::int64_t calls = 0, prompt_tokens = 0, completion_tokens = 0;
  double usd = 0;
};

/// What one call may take at most.
struct Claim {
  std::int64_t tokens = 0;
  double usd = 0;
};

class Ledger {
 public:
  Ledger(BudgetLimits limits, const base::Clock& clock)
      : limits_(limits), clock_(clock), began_at_(clock.now()) {}

  /// Errors: kExhausted, naming the limit and what is spent (kDeadline for the seconds); nothing is reserved
  /// then.
  base::Status reserve(const Claim& claim);
  /// Ends a reservation. A call that failed settles with what it is known to have taken.
  void settle(const Claim& claim, const Spent& spent);

  Spent spent() const;
  double elapsed_s() const { return base::ms_between(began_at_, clock_.now()) / 1e3; }
  /// Unset: no limit.
  std::optional<double> seconds_left() const;

 private:
  const BudgetLimits limits_;
  const base::Clock& clock_;
  const base::Nanos began_at_;
  mutable std::mutex mutex_;
  Spent spent_;
  Claim reserved_;
  std::int64_t running_ = 0;
};

}  // namespace pmt::rlm
