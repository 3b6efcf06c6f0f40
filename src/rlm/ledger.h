// One budget over a whole tree of calls: tokens, dollars, seconds, calls, bytes of prompts. A call reserves
// what it may take at most before it starts and settles what it took, so that calls side by side can't
// overrun the budget together. A batch reserves its calls and bytes as one. Thread-safety: any thread may
// call anything.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/result.h"

namespace pmt::rlm {

/// The defaults let a program read 60 MB once, chunk by chunk, and end a run that will not end itself.
struct BudgetLimits {
  std::optional<std::int64_t> tokens = 20'000'000;  // prompts and answers
  std::optional<double> usd = {};
  std::optional<double> seconds = 3'600;
  std::int64_t calls = 10'000;
  std::int64_t bytes = 128 << 20;  // of prompts
};

/// Both hold: a request may ask for less than the operator allows.
BudgetLimits tighter(const BudgetLimits& a, const BudgetLimits& b);

struct Spent {
  std::int64_t calls = 0, prompt_tokens = 0, completion_tokens = 0;
  double usd = 0;
  std::int64_t bytes = 0;
};

/// What one call, or a batch of them, may take at most.
struct Claim {
  std::int64_t tokens = 0;
  double usd = 0;
  std::int64_t calls = 1, bytes = 0;
};

class Ledger {
 public:
  Ledger(BudgetLimits limits, const base::Clock& clock)
      : limits_(limits), clock_(clock), began_at_(clock.now()) {}

  /// Errors: kExhausted, naming the limit and what is spent (kDeadline for the seconds); nothing is reserved
  /// then.
  base::Status reserve(const Claim& claim);
  /// Whether reserve() would: the same errors, and nothing is reserved.
  base::Status check(const Claim& claim) const;
  /// Ends a reservation. A call that failed settles with what it is known to have taken.
  void settle(const Claim& claim, const Spent& spent);

  Spent spent() const;
  double elapsed_s() const { return base::ms_between(began_at_, clock_.now()) / 1e3; }
  /// Unset: no limit.
  std::optional<double> seconds_left() const;
  /// Errors: kDeadline.
  base::Status in_time() const;

 private:
  const BudgetLimits limits_;
  const base::Clock& clock_;
  const base::Nanos began_at_;
  base::Status check_locked(const Claim& claim) const;

  mutable std::mutex mutex_;
  Spent spent_;
  Claim reserved_ = {.calls = 0};
};

}  // namespace pmt::rlm
