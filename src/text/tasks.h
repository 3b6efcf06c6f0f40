// What is to be done with a text, where a question asks for that: translate it, spell it, write a poem
// (data/en/tasks.txt, composing.txt), and what it quotes. Thread-safety: pure functions. Cost: one pass.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/words.h"

namespace pmt::text {

/// "translate", "spell", "write poem", ..., in no order.
std::vector<std::string> tasks_of(const std::vector<Word>& words);

/// What stands in quotation marks, folded (words.h: folded_text).
std::vector<std::string> quotes_of(std::string_view text);

}  // namespace pmt::text
