// Words that say little by themselves, by what they don't count for (data/en/stop_words.txt), and a few small
// classes of words. All take words in lower case (words.h: folded). Thread-safety: pure functions. Cost: one
// look into a hash table.
#pragma once

#include <cstdint>
#include <string_view>

namespace pmt::text {

enum class StopUse : std::uint8_t {
  kNames = 1,    // never part of what tells two names apart
  kMeaning = 2,  // two questions needn't share it
  kSearch = 4,   // isn't looked for in a text
};
/// Also without its plural's s, as singular() cuts it.
bool is_stop_word(std::string_view word, StopUse use);

/// Articles and the like that may stand before a name: "the", "our", "this", ...
bool is_article(std::string_view word);
/// Small words that names have inside: "of", "de", "van", "and", ...
bool is_name_connector(std::string_view word);
/// "mr", "dr", ...: may come before a person's name.
bool is_title(std::string_view word);

}  // namespace pmt::text
