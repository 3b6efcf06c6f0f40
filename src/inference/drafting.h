// A second model drafts one answer at a time, as far as its account allows (draft_model.h, draft_policy.h).
// Thread-safety: the scheduler's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "inference/draft_model.h"
#include "inference/draft_policy.h"
#include "inference/prompt_lookup.h"

namespace pmt::inference {

class Drafting {
 public:
  /// `clock` outlives it. Errors: DraftModel::measure's.
  static base::Result<std::unique_ptr<Drafting>> create(std::unique_ptr<DraftModel> model,
                                                        const base::Clock& clock);

  /// Which answer comes next. Another than the last: nothing of that one is left.
  void follow(const std::string& job, int choice);
  /// At most `wanted` tokens that may follow `text`; none where they wouldn't pay. `plain_s`: a step of the answer
  /// without drafts, 0 where none was seen; `costs`: of one with. What it throws leaves nothing behind.
  std::vector<std::int32_t> propose(std::span<const std::int32_t> text, int wanted, double plain_s,
                                    const StepCosts& costs);
  /// A step of the answer took `seconds` with so many drafts, whoever made them.
  void stepped(int drafts, double seconds, double plain_s) { policy_.stepped(drafts, seconds, plain_s); }
  /// So many of the last proposal came true.
  void settle(int accepted, double plain_s) { policy_.observe(accepted, plain_s); }

 private:
  Drafting(std::unique_ptr<DraftModel> model, DraftPolicy policy, const base::Clock& clock)
      : model_(std::move(model)), policy_(policy), clock_(clock) {}
  std::optional<DraftModel::Draft> next(std::span<const std::int32_t> text);

  const std::unique_ptr<DraftModel> model_;
  DraftPolicy policy_;
  const base::Clock& clock_;
  std::string job_;  // that it follows
  int choice_ = 0;
};

}  // namespace pmt::inference
