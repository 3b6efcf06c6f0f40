// A grammar in llama.cpp's GBNF, read: rules made of characters, classes of characters, other rules, and
// rules that repeat. Repetitions are counted where the grammar is followed, never written out, so
// `{0,100000}` costs one element.
//
//   root ::= "a" [b-d]{2,3} ( rule | "e" )*     # strings, classes, groups, | * + ? {m} {m,} {m,n}, comments
//
// Requires of whoever follows it (grammar.h): nothing; what is read has no undefined rule and no rule that
// begins with itself.
// Thread-safety: const after parse.
// Cost: linear in the text, 16 bytes an element.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pmt::model {

class CharClass {
 public:
  /// Any order, overlaps allowed; from > to is an empty range.
  CharClass(bool negated, std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges);
  bool matches(std::uint32_t c) const { return within(c) != negated_; }
  /// Whether it matches any character of [low, high].
  bool may_match(std::uint32_t low, std::uint32_t high) const;

 private:
  bool within(std::uint32_t c) const;
  bool negated_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_;  // sorted, apart from each other
};

struct GbnfElement {
  enum class Kind : std::uint8_t { kEnd, kChar, kClass, kRule, kRepeat };
  static constexpr std::uint32_t kNoMax = 0xFFFFFFFF;
  Kind kind = Kind::kEnd;
  std::uint32_t value = 0;  // the character, the class or the rule
  std::uint32_t min = 0;    // of kRepeat
  std::uint32_t max = 0;
};

struct GbnfLimits {
  std::size_t elements_max = 500'000;
  std::size_t rules_max = 100'000;
  int nesting_max = 200;  // groups in groups
};

struct Gbnf {
  /// Errors: kInvalidArgument, what can't be read and where, a rule that isn't there or that begins with
  /// itself, or which limit it is past ("is too complex: ...").
  static base::Result<Gbnf> parse(std::string_view text, const GbnfLimits& limits = {});

  std::size_t bytes() const;

  std::vector<GbnfElement> elements;              // sequences, each closed by a kEnd
  std::vector<std::vector<std::uint32_t>> rules;  // where the alternatives of each begin
  std::vector<CharClass> classes;
  std::uint32_t root = 0;
};

}  // namespace pmt::model
