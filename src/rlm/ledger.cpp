#include "rlm/ledger.h"

#include <algorithm>

#include <fmt/format.h>

namespace pmt::rlm {
namespace {

base::Error over(std::string message, const char* field) {
  return {base::Code::kExhausted, std::move(message), field};
}

template <class T>
std::optional<T> lesser(const std::optional<T>& a, const std::optional<T>& b) {
  return a && b ? std::min(*a, *b) : a ? a : b;
}

}  // namespace

BudgetLimits tighter(const BudgetLimits& a, const BudgetLimits& b) {
  return {.tokens = lesser(a.tokens, b.tokens),
          .usd = lesser(a.usd, b.usd),
          .seconds = lesser(a.seconds, b.seconds),
          .calls = std::min(a.calls, b.calls),
          .bytes = std::min(a.bytes, b.bytes)};
}

std::optional<double> Ledger::seconds_left() const {
  if (!limits_.seconds) return std::nullopt;
  return std::max(0.0, *limits_.seconds - elapsed_s());
}

base::Status Ledger::in_time() const {
  if (const auto left = seconds_left(); left && *left <= 0) {
    return base::Error{base::Code::kDeadline,
                       fmt::format("the budget of {:g} seconds is spent", *limits_.seconds),
                       "permutation.budget.seconds"};
  }
  return {};
}

base::Status Ledger::check_locked(const Claim& claim) const {
  TRY(in_time());
  if (const auto calls = spent_.calls + reserved_.calls; calls + claim.calls > limits_.calls) {
    return over(
        fmt::format("the budget of {} model calls does not reach: {} are made or running, and {} more "
                    "are asked for ([rlm] budget_calls)",
                    limits_.calls, calls, claim.calls),
        "permutation.budget");
  }
  if (const auto bytes = spent_.bytes + reserved_.bytes; bytes + claim.bytes > limits_.bytes) {
    return over(
        fmt::format("the budget of {} bytes of prompts does not reach: {} are sent, and {} more are to "
                    "be ([rlm] budget_mb)",
                    limits_.bytes, bytes, claim.bytes),
        "permutation.budget");
  }
  const std::int64_t tokens = spent_.prompt_tokens + spent_.completion_tokens;
  if (limits_.tokens && tokens + reserved_.tokens + claim.tokens > *limits_.tokens) {
    return over(
        fmt::format("the budget of {} tokens does not reach: {} are spent or reserved, this call may take {}",
                    *limits_.tokens, tokens + reserved_.tokens, claim.tokens),
        "permutation.budget.tokens");
  }
  if (limits_.usd && spent_.usd + reserved_.usd + claim.usd > *limits_.usd) {
    return over(
        fmt::format("the budget of ${:g} does not reach: ${:.6f} are spent or reserved, this call may take "
                    "${:.6f}",
                    *limits_.usd, spent_.usd + reserved_.usd, claim.usd),
        "permutation.budget.usd");
  }
  return {};
}

base::Status Ledger::check(const Claim& claim) const {
  const std::lock_guard lock(mutex_);
  return check_locked(claim);
}

base::Status Ledger::reserve(const Claim& claim) {
  const std::lock_guard lock(mutex_);
  TRY(check_locked(claim));
  reserved_.tokens += claim.tokens;
  reserved_.usd += claim.usd;
  reserved_.calls += claim.calls;
  reserved_.bytes += claim.bytes;
  return {};
}

void Ledger::settle(const Claim& claim, const Spent& spent) {
  const std::lock_guard lock(mutex_);
  reserved_.tokens -= claim.tokens;
  reserved_.usd -= claim.usd;
  reserved_.calls -= claim.calls;
  reserved_.bytes -= claim.bytes;
  spent_.calls += spent.calls;
  spent_.bytes += spent.bytes;
  spent_.prompt_tokens += spent.prompt_tokens;
  spent_.completion_tokens += spent.completion_tokens;
  spent_.usd += spent.usd;
}

Spent Ledger::spent() const {
  const std::lock_guard lock(mutex_);
  return spent_;
}

}  // namespace pmt::rlm
