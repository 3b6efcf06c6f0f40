#include "base/usage_counter.h"

#include <algorithm>

namespace pmt::base {

const char* to_string(Surface surface) {
  switch (surface) {
    case Surface::kCompletions:
      return "completions";
    case Surface::kPermutation:
      return "permutation";
    case Surface::kRlm:
      return "rlm";
    case Surface::kUnified:
      return "unified";
  }
  return "unknown";
}

UsageCounter::Cell& UsageCounter::Cell::operator+=(const Cell& other) {
  count += other.count;
  tokens += other.tokens;
  last_unix_s = std::max(last_unix_s, other.last_unix_s);
  return *this;
}

UsageCounter::Cell UsageCounter::of(Surface surface) const {
  Cell sum;
  for (const auto& [who, cells] : by_user()) sum += cells[static_cast<std::size_t>(surface)];
  return sum;
}

}  // namespace pmt::base
