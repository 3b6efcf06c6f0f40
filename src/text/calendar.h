// Times that are words: months, weekdays, "last year" (data/en/calendar.txt, calendar_spans.txt).
// Thread-safety: pure functions. Cost: a look into a hash table a word.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/words.h"

namespace pmt::text {

/// "oct" -> "october"; "" if the word (folded) is no month, weekday, season or feast.
std::string_view calendar_name(std::string_view word);

/// The time that words[at] names there: "may" names none in "may I".
std::string_view calendar_time(const std::vector<Word>& words, std::size_t at);

/// "last year" of "last" and "year"; "" if there is none.
std::string span_at(const std::vector<Word>& words, std::size_t at);

}  // namespace pmt::text
