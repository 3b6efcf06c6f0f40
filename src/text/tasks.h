// What is to be done with a text, where a question asks for that: translate it, spell it, write a poem
// (data/en/tasks.txt, composing.txt), and what it quotes. Thread-safety: pure functions. Cost: one pass.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/sentences.h"
#include "text/words.h"

namespace pmt::text {

/// "translate", "spell", "write poem", ..., in no order.
std::vector<std::string> tasks_of(const std::vector<Word>& words);

/// What stands in quotation marks, without them. In no order; marks of two kinds may stand one in the other.
std::vector<Range> quotes_of(std::string_view text);

}  // namespace pmt::text
