#include "inference/draft_policy.h"

#include <algorithm>

namespace pmt::inference {
namespace {

constexpr double kLossMax = 0.03;   // of an answer's time so far
constexpr double kGainMin = 1.03;   // of a draft more, in tokens for the time
constexpr double kPriorWeight = 8;  // of a record's first guess
constexpr double kKept = 0.95;      // of a record at each draft
constexpr double kKeptIdle = 0.98;  // where drafting doesn't pay
constexpr double kNew = 0.125;      // of a measurement in its mean
constexpr int kReadTokensMin = 16;  // from here on it is reading, not writing

}  // namespace

std::size_t DraftPolicy::kind_of(double probability) {
  return probability < 0.4 ? 0 : probability < 0.7 ? 1 : probability < 0.9 ? 2 : 3;
}

double DraftPolicy::chance_of(const Record& record) {
  return (record.right + kPriorWeight * record.prior) / (record.tried + kPriorWeight);
}

void DraftPolicy::begin_answer() {
  lived_s_ = cost_s_ = saved_s_ = 0;
  taken_count_ = 0;
}

bool DraftPolicy::has_room_for(double seconds) const {
  return cost_s_ + seconds - saved_s_ <= kLossMax * lived_s_;
}

bool DraftPolicy::wants_more(const Sofar& sofar, double plain_s, const StepCosts& costs) {
  if (sofar.drafts >= kDraftsMax || plain_s <= 0 || !has_room_for(pace_.step_s)) return false;
  const auto gain = [&](int drafts, double tokens) {
    return tokens / (costs[static_cast<std::size_t>(drafts)] + drafts * pace_.step_s / plain_s);
  };
  const double least = kGainMin * gain(sofar.drafts, sofar.tokens);
  // A row more doesn't always cost as much as the one before, so one that doesn't pay may lead to one that does.
  double all_true = sofar.all_true, tokens = sofar.tokens;
  for (int drafts = sofar.drafts + 1; drafts <= kDraftsMax; ++drafts) {
    all_true *= chance_of(any_);
    tokens += all_true;
    if (gain(drafts, tokens) >= least) return true;
  }
  if (sofar.drafts == 0) {  // what was wrong before is forgotten, and tried again
    any_.tried *= kKeptIdle;
    any_.right *= kKeptIdle;
  }
  return false;
}

bool DraftPolicy::takes(Sofar& sofar, double probability, const StepCosts& costs) {
  const double all_true = sofar.all_true * chance(probability);
  const auto n = static_cast<std::size_t>(sofar.drafts);
  // What drafting it took is spent by now; its row is not.
  if ((sofar.tokens + all_true) * costs[n] < sofar.tokens * costs[n + 1]) return false;
  taken_[n] = kind_of(probability);
  taken_count_ = ++sofar.drafts;
  sofar.all_true = all_true;
  sofar.tokens += all_true;
  return true;
}

void DraftPolicy::drafted(int tokens, double seconds) {
  if (tokens < 1 || seconds <= 0) return;
  cost_s_ += seconds;
  lived_s_ += seconds;
  double& mean = tokens >= kReadTokensMin ? pace_.read_s : pace_.step_s;
  const double one = tokens >= kReadTokensMin ? seconds / tokens : seconds;
  mean = mean == 0 ? one : mean + kNew * (std::min(one, 2 * mean) - mean);
}

void DraftPolicy::stepped(int drafts, double seconds, double plain_s) {
  lived_s_ += seconds;
  if (drafts > 0 && taken_count_ > 0) cost_s_ += std::max(0.0, seconds - plain_s);
}

void DraftPolicy::observe(int accepted, double plain_s) {
  saved_s_ += accepted * plain_s;
  for (int i = 0; i < std::min(taken_count_, accepted + 1); ++i) {  // past a wrong one: unknown
    for (Record* const record : {&records_[taken_[static_cast<std::size_t>(i)]], &any_}) {
      record->tried = kKept * record->tried + 1;
      record->right = kKept * record->right + (i < accepted ? 1 : 0);
    }
  }
  taken_count_ = 0;
}

}  // namespace pmt::inference
