#include "inference/prompt_lookup.h"

#include <algorithm>

namespace pmt::inference {
namespace {

constexpr int kMatchMax = 8;
constexpr int kMatchGood = 5;
constexpr int kMatchMin = 2;

/// Before this answer has a record: the chances, worth so many drafts.
constexpr std::array kChances = {0.5, 0.75, 0.9};
constexpr double kChancesWeight = 8;
constexpr double kKept = 0.9;       // of a record, at each proposal
constexpr double kKeptIdle = 0.99;  // where drafting didn't pay: it is forgotten, and tried again
constexpr double kGainMin = 1.05;

/// The number of drafts, up to `most`, that gives the most tokens for the time.
int paying(double chance, const StepCosts& costs, int most) {
  int best = 0;
  double best_gain = kGainMin, all_so_far = 1, tokens = 1;
  for (int n = 1; n <= most; ++n) {
    all_so_far *= chance;
    tokens += all_so_far;
    const double gain = tokens / costs[static_cast<std::size_t>(n)];
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = n;
  }
  return best;
}

/// Until it is measured: what a repacked Q4_1 model takes with AVX-512, less than anything else was seen to,
/// so that every number of drafts gets its turn.
double guess(int drafts) {
  return 1 + 0.3 * drafts;
}

}  // namespace

double PromptLookup::chance(Kind kind) const {
  const Record& record = records_[kind];
  return (record.right + kChancesWeight * kChances[kind]) / (record.tried + kChancesWeight);
}

std::vector<std::int32_t> PromptLookup::propose(std::span<const std::int32_t> text, int drafts_max,
                                                const StepCosts& costs) {
  const int size = static_cast<int>(text.size());
  if (drafts_max < 1) return {};
  const auto at = [&](int i) { return text[static_cast<std::size_t>(i)]; };
  int best = kMatchMin - 1;
  int best_end = -1;  // where what followed begins
  // From the end: of equally long matches the latest is the likeliest.
  for (int end = size - 1; end >= kMatchMin && best < kMatchMax; --end) {
    if (at(end - 1) != at(size - 1)) continue;
    int match = 1;
    while (match < kMatchMax && end - 1 - match >= 0 && at(end - 1 - match) == at(size - 1 - match)) ++match;
    if (match <= best) continue;
    best = match;
    best_end = end;
  }
  if (best_end < 0) return {};
  last_ = best == kMatchMax ? kLong : best >= kMatchGood ? kGood : kShort;
  const int count = paying(chance(last_), costs, std::min({size - best_end, drafts_max, kDraftsMax}));
  if (count == 0) {
    records_[last_].tried *= kKeptIdle;
    records_[last_].right *= kKeptIdle;
  }
  const auto follow = text.subspan(static_cast<std::size_t>(best_end), static_cast<std::size_t>(count));
  return {follow.begin(), follow.end()};
}

void PromptLookup::observe(int drafted, int accepted) {
  Record& record = records_[last_];
  record.right = kKept * record.right + accepted;
  record.tried = kKept * record.tried + accepted + (accepted < drafted ? 1 : 0);  // past a wrong one: unknown
}

StepClock::StepClock() {
  for (int n = 0; n <= kDraftsMax; ++n) costs_[static_cast<std::size_t>(n)] = guess(n);
}

void StepClock::observe(int drafts, double seconds) {
  constexpr double kNew = 0.125, kFades = 1.0 / 2048;
  if (seconds <= 0 || drafts < 0 || drafts > kDraftsMax) return;
  if (drafts == 0) {
    // One that was interrupted counts as twice the usual at most; what was measured fades, to be tried again.
    plain_s_ = plain_s_ == 0 ? seconds : plain_s_ + kNew * (std::min(seconds, 2 * plain_s_) - plain_s_);
    for (int n = 1; n <= kDraftsMax; ++n) {
      double& cost = costs_[static_cast<std::size_t>(n)];
      cost += kFades * (guess(n) - cost);
    }
    return;
  }
  if (plain_s_ == 0) return;
  const auto n = static_cast<std::size_t>(drafts);
  const double cost =
      std::clamp(seconds / plain_s_, 1.0, 2.0 + drafts);  // never more than one after the other
  costs_[n] += (measured_[n] ? kNew : 1) * (cost - costs_[n]);
  measured_[n] = true;
}

std::optional<std::string> prompt_lookup_self_test() {
  const std::vector<std::int32_t> repeats{1, 2, 3, 4, 5, 6, 7, 1, 2, 3};
  PromptLookup lookup;
  const StepCosts usual = StepClock().costs();
  StepCosts dear{};
  for (std::size_t n = 0; n < dear.size(); ++n) dear[n] = 1 + static_cast<double>(n);
  if (lookup.propose(repeats, kDraftsMax, usual) != std::vector<std::int32_t>{4})
    return "a repetition isn't drafted";
  if (!lookup.propose(repeats, kDraftsMax, dear).empty())
    return "drafts are made where they cost a step each";
  for (int i = 0; i < 8; ++i) lookup.observe(1, 0);
  if (!lookup.propose(repeats, kDraftsMax, usual).empty()) return "drafting goes on where it was wrong";
  if (!PromptLookup().propose(std::vector<std::int32_t>{1, 2, 3, 4}, kDraftsMax, usual).empty())
    return "something is drafted where nothing repeats";
  return std::nullopt;
}

}  // namespace pmt::inference
