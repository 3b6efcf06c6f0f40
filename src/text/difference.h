// Can two questions be the same one? What an embedding is blind to (MiniLM finds "in 1990" and "in 1991" .97 alike,
// "from Oslo to Bergen" and "from Bergen to Oslo" .99) is compared by the words: numbers and dates, names, units,
// negation, opposites, who does what to whom, and what is to be done with a text. Both caches ask here (note 0028).
//
// It only ever says that two questions differ, never that they are the same. Thread-safety: pure functions. Cost:
// some microseconds for questions of 20 words.
#pragma once

#include "text/question.h"

namespace pmt::text {

enum class Difference { kNone, kNumber, kName, kNegation, kOpposite, kUnit, kTime, kTask, kRoles };
inline constexpr int kDifferences = 9;
const char* to_string(Difference difference);

/// Of two whole questions: whatever tells them apart. Symmetric.
Difference difference(const Question& a, const Question& b);

/// A question asked beside one of which the answer is known, its thing left out of both. Wording is free here, so
/// opposites and negation count only where the two are worded alike ("closing time", "until when is it open").
struct Qualified {
  Difference difference = Difference::kNone;
  /// It leaves out what the known question says: "the revenue" beside "the revenue in 2023".
  bool leaves_out = false;
};
Qualified qualified(const Question& asked, const Question& known);

}  // namespace pmt::text
