// Where a user's turn asks or instructs, so that the rest of it can be told apart as what is asked about
// (note 0022).
//
// The rule, in this order:
//   1. A turn of at most 40 words is asked as a whole.
//   2. The turn's last sentences, where one of them ends in a question mark or has a label ("Question: ..."), or
//      where an instruction ("Describe ...") is a paragraph of its own. At most 25 words may follow it.
//   3. The turn's first sentences, by the same signs; a first line that ends in a colon counts as well.
//   4. The last, then the first sentence where it is an instruction without such a sign.
// Neighbouring sentences that ask belong to it, and so does the rest of a paragraph of at most 60 words. A part of more
// than 150 words is none. Twelve bytes count as a word where there are fewer spaces.
//
// Written for English; in other languages question marks, paragraphs and short turns still count.
// Thread-safety: pure functions. Cost: one pass over the text.
#pragma once

#include <optional>
#include <string_view>

#include "text/sentences.h"

namespace pmt::text {

/// In bytes, without white space at its ends; it begins or ends where the turn does. None: it can't be told apart.
std::optional<Range> asked_part(std::string_view turn);

}  // namespace pmt::text
