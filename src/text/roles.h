// Who does what to whom in a question, as far as its words tell: what stands after which preposition (the slots of
// data/en/slots.txt), and who acts on whom. "From Oslo to Bergen" and "from Bergen to Oslo" have the same words; so
// have "who lent money to Ann" and "to whom did Ann lend money".
//
// There is no grammar of English here, only what can be told from auxiliaries, asking words, word order and a table
// of irregular verbs; where that is not enough, nothing is said. Words are compared by hashes of their stems.
// Thread-safety: pure functions. Cost: some microseconds for a question of 20 words; texts of more than
// kRoleWordsMax words have no roles.
#pragma once

#include <string>
#include <vector>

#include "text/claims.h"
#include "text/slots.h"

namespace pmt::text {

inline constexpr std::size_t kRoleWordsMax = 24;

struct Roles {
  std::vector<StemHash> stems;    // of all words, sorted, unique
  std::vector<StemHash> content;  // of those that carry meaning, sorted, unique
  std::vector<Filled> slots;      // sorted, unique
  std::vector<Owned> owned;       // sorted, unique
  std::vector<Claim> claims;      // sorted, unique
  bool symmetric = false;  // it asks for something in which order doesn't matter: a distance, a difference
};

/// Requires: each term's stem is known, if they are kRoleWordsMax or fewer.
Roles roles_of(const std::vector<Term>& terms);

/// Two things of both have each other's place, or one thing has the opposite place (to Oslo, from Oslo).
bool roles_differ(const Roles& a, const Roles& b);

/// Whether one sequence of words becomes the other by two phrases changing places: "is a cat a dog", "is a dog a
/// cat". What only joins them ("cats and dogs") says no. `is_content`, `is_name`: of each word of `a`.
struct WordFlags {
  std::vector<bool> content, name;
};
bool phrases_exchanged(const std::vector<std::string>& a, const std::vector<std::string>& b,
                       const WordFlags& of_a);

}  // namespace pmt::text
