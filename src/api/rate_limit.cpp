#include "api/rate_limit.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace pmt::api {

void RateBucket::refill() {
  const base::Nanos now = clock_.now();
  level_ = std::min(limit(), level_ + limit() * base::ms_between(at_, now) / 60'000);
  at_ = now;
}

void RateBucket::set_limit(double per_minute) {
  const std::lock_guard lock(mutex_);
  refill();
  // Without a limit nothing was counted: one that comes begins full.
  level_ = limited() ? level_ + per_minute - limit() : per_minute;
  per_minute_ = per_minute;
}

bool RateBucket::try_take(double amount) {
  if (!limited()) return true;
  const std::lock_guard lock(mutex_);
  refill();
  if (level_ < amount) return false;
  level_ -= amount;
  return true;
}

void RateBucket::charge(double amount) {
  if (!limited()) return;
  const std::lock_guard lock(mutex_);
  refill();
  level_ -= amount;
}

double RateBucket::remaining() {
  const std::lock_guard lock(mutex_);
  refill();
  return std::max(0.0, level_);
}

double RateBucket::seconds_until(double amount) {
  const std::lock_guard lock(mutex_);
  if (!limited()) return 0;
  refill();
  return std::max(0.0, (amount - level_) * 60 / limit());
}

std::string duration_text(double seconds) {
  if (seconds < 1) return fmt::format("{}ms", std::lround(std::ceil(seconds * 1000)));
  if (seconds < 60) return fmt::format("{:.4g}s", seconds);
  const auto whole = static_cast<long>(std::ceil(seconds));
  return fmt::format("{}m{}s", whole / 60, whole % 60);
}

}  // namespace pmt::api
