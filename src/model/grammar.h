// Answers of a given form: a grammar (gbnf.h) that an answer's tokens must follow.
//
// What has been written so far is a set of stacks: each says what may come next and what must follow it.
// Stacks share their lower parts, and equal ones are one, so an ambiguous grammar grows only where its
// continuations really differ. Every step has a bound on its work, so no grammar can hold up the tokens of
// others (note 0019).
//
// We don't follow grammars by libllama's sampler: it copies every stack for every token, in time that grows
// exponentially with ambiguity, and a copy of it costs the product of its stacks and its rules. The tests
// compare both. Thread-safety: one thread at a time; a copy is independent. Cost (measured, 49K tokens):
// allows and accept some microseconds, mask under a millisecond to some; a copy of a fresh one a microsecond.
// Memory: under 40 bytes a unit of work, at most.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "model/gbnf.h"
#include "model/schema_grammar.h"  // IWYU pragma: export
#include "model/token_index.h"

namespace pmt::model {

struct GrammarLimits {
  /// Stacks made in one step; sixteen that are looked at count as one. So many take some 50 ms here, so a
  /// step that a batch waits for stays below what a person notices; real schemas take some thousands.
  std::int64_t work_max = 200'000;
};

class Grammar {
 public:
  /// At its beginning. Errors: kInvalidArgument, even the first step is past the limit.
  static base::Result<Grammar> create(std::shared_ptr<const Gbnf> rules,
                                      std::shared_ptr<const TokenIndex> tokens, GrammarLimits limits = {});
  /// Reads it first, for a vocabulary alone. Errors: kInvalidArgument, also not a grammar.
  static base::Result<Grammar> create(const Vocab& vocab, const std::string& gbnf);

  // All of these have the error kInvalidArgument: the step is past the limit, the grammar can't go on.
  base::Result<bool> allows(std::int32_t token);
  /// Sets what isn't allowed to -infinity. `logits`: [vocabulary].
  base::Status mask(std::span<float> logits);
  /// `token` was chosen. Errors: kInternal, it isn't allowed.
  base::Status accept(std::int32_t token);

  /// A text that stands before what is written, and that the grammar has, too.
  base::Status accept_text(std::string_view text);

  /// Of the last step, in the units of the limit.
  std::int64_t work() const { return work_; }

 private:
  using StackId = std::int32_t;  // kEmpty, or an index into stacks_
  using SetId = std::int32_t;    // kDead, or an index into sets_
  static constexpr StackId kEmpty = -1;
  static constexpr SetId kDead = -1, kUnknown = -2;

  /// The next element, and what follows it. `count`: how often a kRepeat was begun.
  struct Stack {
    std::uint32_t element, count;
    StackId below;
    bool operator==(const Stack&) const = default;
  };
  struct StackHash {
    std::size_t operator()(const Stack& stack) const;
  };
  struct Set {
    std::vector<StackId> stacks;  // sorted; tops are characters or classes, or kEmpty: it may end
    std::vector<SetId> ascii;     // by character; empty until it is asked
  };
  struct SetHash {
    std::size_t operator()(const std::vector<StackId>& stacks) const;
  };
  /// After some bytes of a text: a set, and the beginning of a UTF-8 character.
  struct State {
    SetId set = kDead;
    std::uint32_t value = 0;
    std::uint8_t bytes = 0, left = 0;  // of the character, and still to come
  };

  Grammar(std::shared_ptr<const Gbnf> rules, std::shared_ptr<const TokenIndex> tokens, GrammarLimits limits)
      : rules_(std::move(rules)), tokens_(std::move(tokens)), limits_(limits) {}

  bool exhausted() const { return work_ > limits_.work_max; }
  base::Error too_complex() const;
  StackId stack(std::uint32_t element, std::uint32_t count, StackId below);
  SetId set_of(std::vector<StackId> stacks);
  /// All that `todo` may go on with, down to characters.
  SetId expand(std::vector<StackId> todo);
  void expand_rule(std::uint32_t rule, StackId after, std::vector<StackId>& todo);
  void expand_top(StackId id, std::vector<StackId>& todo);
  StackId after_element(const Stack& stack, std::vector<Stack>::size_type element);
  SetId after(StackId id);
  SetId advance(SetId set, std::uint32_t character);
  SetId advance_slowly(SetId set, std::uint32_t character);
  bool matches(StackId id, std::uint32_t character) const;
  State feed(State state, unsigned char byte);
  State feed(State state, std::string_view text);
  /// Whether it may stop there: on a whole character, or within one that can still fit.
  bool stands(const State& state) const;
  bool may_end() const;
  void forget_old();

  std::shared_ptr<const Gbnf> rules_;
  std::shared_ptr<const TokenIndex> tokens_;
  GrammarLimits limits_;
  std::int64_t work_ = 0;
  std::vector<Stack> stacks_;
  std::vector<SetId> after_;  // by stack
  std::unordered_map<Stack, StackId, StackHash> stack_ids_;
  std::vector<Set> sets_;
  std::unordered_map<std::vector<StackId>, SetId, SetHash> set_ids_;
  State state_;
};

}  // namespace pmt::model
