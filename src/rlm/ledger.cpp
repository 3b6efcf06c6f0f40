#include "rlm/ledger.h"

#include <algorithm>

#include <fmt/format.h>

namespace pmt::rlm {
namespace {

base::Error over(std::string message, const char* field) {
  return {base::Code::kExhausted, std::move(message), field};
}

}  // namespace

std::optional<double> Ledger::seconds_left() const {
  if (!limits_.seconds) return std::nullopt;
  return std::max(0.0, *limits_.seconds - elapsed_s());
}

base::Status Ledger::reserve(const Claim& claim) {
  if (const auto left = seconds_left(); left && *left <= 0) {
    return base::Error{base::Code::kDeadline,
                       fmt::format("the budget of {:g} seconds is spent", *limits_.seconds),
                       "permutation.budget.seconds"};
  }
  const std::lock_guard lock(mutex_);
  if (spent_.calls + running_ >= limits_.calls) {
    return over(fmt::format("the budget of {} model calls is spent", limits_.calls), "permutation.budget");
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
  reserved_.tokens += claim.tokens;
  reserved_.usd += claim.usd;
  ++running_;
  return {};
}

void Ledger::settle(const Claim& claim, const Spent& spent) {
  const std::lock_guard lock(mutex_);
  reserved_.tokens -= claim.tokens;
  reserved_.usd -= claim.usd;
  --running_;
  spent_.calls += spent.calls;
  spent_.prompt_tokens += spent.prompt_tokens;
  spent_.completion_tokens += spent.completion_tokens;
  spent_.usd += spent.usd;
}

Spent Ledger::spent() const {
  const std::lock_guard lock(mutex_);
  return spent_;
}

}  // namespace pmt::rlm
