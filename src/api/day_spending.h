// What each key has spent today, in dollars, and whether that is all that it may ([[key]] budget_usd_per_day).
// Days are UTC's. Spending is counted when an answer ends, so a key can go over its budget by the answers that
// were running when the budget was reached.
// Thread-safety: any thread may call anything. Cost: a lock and a lookup.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace pmt::api {

class DaySpending {
 public:
  explicit DaySpending(const base::Clock& clock) : clock_(clock) {}

  void add(const std::string& key, double usd);
  double today(const std::string& key) const;
  /// Until the next day begins.
  double seconds_left() const;

  /// A request was refused for it.
  void refused(const std::string& key);
  std::uint64_t refusals(const std::string& key) const;

  /// Today's, to go on with after a restart: {"day": "2026-11-30", "usd": {"ann": 1.25}}.
  std::string state() const;
  /// Goes up with each change of what state() says.
  std::uint64_t version() const;
  /// Adds what `state` says, if it is today's. Errors: kCorrupt, it is none; nothing is added.
  base::Status restore(std::string_view state);

 private:
  struct Spent {
    std::int64_t day = 0;
    double usd = 0;
    std::uint64_t refusals = 0;
  };
  std::int64_t today_number() const;

  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Spent> keys_;  // under mutex_, like
  std::uint64_t version_ = 0;
};

}  // namespace pmt::api
