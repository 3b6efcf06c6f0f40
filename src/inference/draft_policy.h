// When a second model's drafts pay for the time that they take (note 0048).
//
// An answer has an account: what drafting took of its time, and what accepted drafts saved of it. Drafting may run up
// a loss of 3% of the answer's time so far and no more, so an answer that drafts don't suit, or that ends too soon,
// comes at most so much later. Within it, one more draft is made where it is likely enough to pay.
// Thread-safety: none. Cost: nothing to speak of.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "inference/prompt_lookup.h"

namespace pmt::inference {

class DraftPolicy {
 public:
  /// Of the drafting model: seconds to read one token of many, and to write one.
  struct Pace {
    double read_s = 0, step_s = 0;
  };
  /// Drafts of a step so far.
  struct Sofar {
    int drafts = 0;
    double all_true = 1;  // the chance that all come true
    double tokens = 1;    // that the step is expected to write
  };

  explicit DraftPolicy(Pace pace) : pace_(pace) {}

  /// Another answer: a new account. What was measured of the models stays.
  void begin_answer();

  /// Whether the answer's account has room for reading so many tokens.
  bool may_read(int tokens) const { return has_room_for(pace_.read_s * tokens); }
  /// Whether to have one more token drafted. `plain_s`: a step of the answer without drafts; `costs`: of one with.
  bool wants_more(const Sofar& sofar, double plain_s, const StepCosts& costs);
  /// The model drafted a token that it gives `probability`: whether reading it with the step pays. `sofar` counts it
  /// then.
  bool takes(Sofar& sofar, double probability, const StepCosts& costs);

  /// The drafting model read `tokens` in `seconds`: one is a step.
  void drafted(int tokens, double seconds);
  /// A step of the answer took `seconds` with so many drafts.
  void stepped(int drafts, double seconds, double plain_s);
  /// What became of the drafts that takes() took since the last time.
  void observe(int accepted, double plain_s);

  double chance(double probability) const { return chance_of(records_[kind_of(probability)]); }

 private:
  /// Of drafts that the model was about as sure of, recent ones counting more.
  struct Record {
    double tried = 0, right = 0, prior = 0;
  };
  static constexpr std::size_t kKinds = 4;
  static std::size_t kind_of(double probability);
  static double chance_of(const Record& record);
  bool has_room_for(double seconds) const;

  Pace pace_;
  std::array<Record, kKinds> records_{{{0, 0, 0.25}, {0, 0, 0.5}, {0, 0, 0.75}, {0, 0, 0.9}}};
  std::array<std::size_t, kDraftsMax> taken_{};  // their kinds
  int taken_count_ = 0;
  Record any_{0, 0, 0.85};  // hopeful, or it would never be tried: the account bounds what that costs
  double lived_s_ = 0, cost_s_ = 0, saved_s_ = 0;  // the account
};

}  // namespace pmt::inference
