// A set of Unicode's characters, as ranges, and how grammars spell it: as a class of GBNF, and as what may
// stand for it inside a JSON string. Surrogates are no characters. Thread-safety: values; categories are
// found once, on first use (some 10 ms). Cost: linear in the ranges, of which a category has up to 700.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/schema_grammar.h"

namespace pmt::model {

class CharSet {
 public:
  using Range = std::pair<std::uint32_t, std::uint32_t>;  // both ends in it
  CharSet() = default;
  CharSet(std::initializer_list<Range> ranges);
  static CharSet all();
  /// By a general category's name, short or long (L, Lu, Letter, Uppercase_Letter). Null: it is none.
  static std::optional<CharSet> of_category(std::string_view name);

  CharSet& add(const CharSet& other);
  CharSet complement() const;
  CharSet both(const CharSet& other) const;
  CharSet without(const CharSet& other) const { return both(other.complement()); }
  bool contains(std::uint32_t c) const;
  bool empty() const { return ranges_.empty(); }
  /// Sorted, apart from each other.
  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  void settle();
  std::vector<Range> ranges_;
};

/// One character of the set, as GBNF: "[]" for none.
std::string gbnf_class(const CharSet& set);
/// One character of the set inside of a JSON string, as GBNF: itself, or its escape where it needs one.
std::string gbnf_json_class(const CharSet& set);

/// The characters of a text. What isn't UTF-8 becomes U+FFFD.
std::vector<std::uint32_t> characters_of(std::string_view utf8);
void append_utf8(std::string& out, std::uint32_t c);

}  // namespace pmt::model
