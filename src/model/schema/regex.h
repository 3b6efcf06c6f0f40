// Regular expressions as JSON Schema has them (ECMA-262 with the u flag), and what of Python's has the same
// meaning, as a tree of which a grammar can be made. Only what describes a language of texts: look-around,
// back references and word boundaries are refused by name. Thread-safety: pure. Cost: linear in the pattern.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/schema/char_set.h"
#include "model/schema/gbnf_writer.h"

namespace pmt::model {

struct Regex {
  enum class Kind { kSet, kSequence, kAlternatives, kRepeat, kBegin, kEnd };
  static constexpr std::uint32_t kNoMax = 0xFFFFFFFF;
  Kind kind = Kind::kSequence;     // an empty one: the empty text
  CharSet set = {};                // kSet
  std::vector<Regex> parts = {};   // of a sequence, of alternatives; the one that repeats
  std::uint32_t min = 0, max = 0;  // kRepeat
};

/// Errors: kInvalidArgument where it is no pattern, kUnprocessable where it has what no grammar can say; the
/// message says what.
base::Result<Regex> parse_regex(std::string_view pattern);

/// The pattern of whole texts in which `pattern` is found somewhere, as JSON Schema means it: without
/// anchors, and with any text where none stood. Errors: kUnprocessable, an anchor inside.
base::Result<Regex> found_anywhere(const Regex& pattern);
/// The same where all of the text must match: anchors at its ends are dropped.
base::Result<Regex> matched_whole(const Regex& pattern);

struct RegexLengths {
  std::uint32_t min = 0, max = 0;  // in characters; kNoMax: no most
};
RegexLengths lengths_of(const Regex& pattern);
/// Texts of it that have a length in [min, max]: all of them where one part has an open length, else some, in
/// which each open part has its share. Errors: kUnprocessable where it is too short and nothing in it repeats.
base::Result<Regex> with_lengths(Regex pattern, std::uint32_t min, std::uint32_t max);

/// Whether a pattern without anchors matches all of the text. Cost: quadratic in the text at worst.
bool matches(const Regex& pattern, std::string_view text);

/// As GBNF, each character spelled as in a JSON string if `in_json`.
std::string gbnf_of_regex(const Regex& pattern, bool in_json, GbnfWriter& rules);

}  // namespace pmt::model
