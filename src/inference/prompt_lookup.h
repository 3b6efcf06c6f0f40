// Speculation without a second model: what followed the text's last few tokens the last time they occurred is
// likely to follow again (note 0006). The drafts are read together with the next token and checked against
// what the sampler then chooses, so the answer is the same with and without.
//
// How many tokens are drafted is what pays: with the chance that a draft comes true (from this answer's own
// record, for short, good and long matches apart) and the measured cost of a step with so many drafts, the
// number with the most tokens for the time, which may be none. Thread-safety: none. Cost: propose scans the
// text once, about a microsecond a thousand tokens. Source: prompt lookup decoding (A. Saxena, 2023).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pmt::inference {

inline constexpr int kDraftsMax = 8;

/// Of a step with 0, 1, ... drafts for one answer: its time as a multiple of the step without.
using StepCosts = std::array<double, kDraftsMax + 1>;

class PromptLookup {
 public:
  /// At most `drafts_max` tokens that may follow `text`; none when nothing matches or no draft would pay.
  std::vector<std::int32_t> propose(std::span<const std::int32_t> text, int drafts_max,
                                    const StepCosts& costs);
  /// What became of the last proposal. Requires: it was not empty.
  void observe(int drafted, int accepted);

 private:
  /// Of drafts after matches of one kind, recent ones counting more.
  struct Record {
    double tried = 0, right = 0;
  };
  enum Kind { kShort, kGood, kLong, kKinds };
  double chance(Kind kind) const;

  std::array<Record, kKinds> records_{};
  Kind last_ = kShort;  // of the last proposal
};

/// StepCosts measured while answers are written. They differ by more than a factor between machines, and not
/// evenly: where rows are multiplied two at a time, the third costs and the fourth does not. Thread-safety:
/// none.
class StepClock {
 public:
  StepClock();
  /// A step of one answer alone took `seconds`.
  void observe(int drafts, double seconds);
  const StepCosts& costs() const { return costs_; }
  /// Of a step without drafts; 0: none was seen yet.
  double plain_seconds() const { return plain_s_; }

 private:
  double plain_s_ = 0;  // a step without drafts; 0: not seen yet
  StepCosts costs_;
  std::array<bool, kDraftsMax + 1> measured_{};
};

/// For the audit: drafts follow a repetition, and end where they don't pay. What failed, or nullopt.
std::optional<std::string> prompt_lookup_self_test();

}  // namespace pmt::inference
