// A word of a question, as reading it for roles needs it (slots.h, claims.h), and the small classes of words that
// this goes by. Words are compared by hashes of their stems. Thread-safety: plain data, pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pmt::text {

using StemHash = std::uint32_t;

struct Term {
  std::string folded;        // words.h; of a number its value
  StemHash stem = 0;         // of `folded`, where roles are read (roles.h)
  std::string word;          // without a plural's s
  bool content = false;      // carries meaning by itself
  bool name = false;         // or a number
  bool possessive = false;   // "Tom's"
  bool ends_phrase = false;  // punctuation follows
  bool first = false;        // of its sentence
};

/// FNV-1a of the bytes as they are, to compare words by.
StemHash hash_of(std::string_view bytes);
StemHash stem_hash(std::string_view word);

/// "do", "be", "have" or "modal"; "" if the word is no auxiliary.
std::string_view auxiliary(std::string_view word);
/// "who", "which": asks for who or what takes part, not when or where.
bool asks_for_a_thing(std::string_view word);
/// A pronoun that acts: "I", "they".
bool is_pronoun(std::string_view word);
/// "and", "or": joins two of one rank.
bool joins(std::string_view word);

/// The slot that a word opens ("into" opens that of "to"), by its number; -1 if it opens none.
int slot_of(std::string_view word);
/// Requires: data/en/slots.txt has that name.
int slot_named(std::string_view name);
/// "of", or what opens a slot.
inline bool is_preposition(std::string_view word) {
  return word == "of" || slot_of(word) >= 0;
}
/// Its things are exchanged wherever each stands in the other's place: from and to, but not in.
bool is_ordered(int slot);

}  // namespace pmt::text
