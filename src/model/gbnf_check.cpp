#include "model/gbnf_check.h"

#include <cstddef>

namespace pmt::model {
namespace {

using Kind = GbnfElement::Kind;

bool is_rule(const GbnfElement& element) {
  return element.kind == Kind::kRule || element.kind == Kind::kRepeat;
}

/// Which rules can be nothing at all: from those with an empty alternative on to those made only of such.
std::vector<char> nullable_rules(const Gbnf& grammar) {
  struct Use {
    std::uint32_t rule, alternative;
  };
  std::vector<std::vector<Use>> uses(grammar.rules.size());  // by the rule that an alternative waits for
  std::vector<std::vector<std::uint32_t>> waits(grammar.rules.size());
  std::vector<char> nullable(grammar.rules.size(), 0);
  std::vector<std::uint32_t> todo;
  const auto found = [&](std::uint32_t rule) {
    if (nullable[rule] == 0) todo.push_back(rule);
    nullable[rule] = 1;
  };
  for (std::uint32_t rule = 0; rule < grammar.rules.size(); ++rule) {
    for (const std::uint32_t start : grammar.rules[rule]) {
      const auto alternative = static_cast<std::uint32_t>(waits[rule].size());
      std::uint32_t needed = 0;
      bool can = true;
      for (std::size_t at = start; grammar.elements[at].kind != Kind::kEnd; ++at) {
        const GbnfElement& element = grammar.elements[at];
        can = can && is_rule(element);
        if (!can) break;
        if (element.kind == Kind::kRepeat && element.min == 0) continue;
        uses[element.value].push_back({rule, alternative});
        ++needed;
      }
      waits[rule].push_back(can ? needed : needed + 1);  // one more than ever comes
      if (can && needed == 0) found(rule);
    }
  }
  while (!todo.empty()) {
    const std::uint32_t rule = todo.back();
    todo.pop_back();
    for (const Use& use : uses[rule]) {
      if (--waits[use.rule][use.alternative] == 0) found(use.rule);
    }
  }
  return nullable;
}

/// The rules that each rule may begin with.
std::vector<std::vector<std::uint32_t>> first_rules(const Gbnf& grammar) {
  const std::vector<char> nullable = nullable_rules(grammar);
  std::vector<std::vector<std::uint32_t>> out(grammar.rules.size());
  for (std::size_t rule = 0; rule < grammar.rules.size(); ++rule) {
    for (const std::uint32_t start : grammar.rules[rule]) {
      for (std::size_t at = start; is_rule(grammar.elements[at]); ++at) {
        const GbnfElement& element = grammar.elements[at];
        out[rule].push_back(element.value);
        const bool may_be_nothing =
            nullable[element.value] != 0 || (element.kind == Kind::kRepeat && element.min == 0);
        if (!may_be_nothing) break;
      }
    }
  }
  return out;
}

}  // namespace

base::Status check_no_left_recursion(const Gbnf& grammar) {
  enum : char { kNew, kOpen, kDone };
  const auto firsts = first_rules(grammar);
  std::vector<char> state(grammar.rules.size(), kNew);
  std::vector<std::pair<std::uint32_t, std::size_t>>
      path;  // a rule, and how many of its firsts were followed
  for (std::uint32_t begin = 0; begin < grammar.rules.size(); ++begin) {
    if (state[begin] != kNew) continue;
    path.emplace_back(begin, 0);
    state[begin] = kOpen;
    while (!path.empty()) {
      auto& [rule, next] = path.back();
      if (next == firsts[rule].size()) {
        state[rule] = kDone;
        path.pop_back();
        continue;
      }
      const std::uint32_t to = firsts[rule][next++];
      if (state[to] == kOpen)
        return base::invalid(
            "makes a form that can't be followed: a part of it begins with itself, with nothing between");
      if (state[to] == kNew) {
        state[to] = kOpen;
        path.emplace_back(to, 0);
      }
    }
  }
  return {};
}

}  // namespace pmt::model
