// What a fact is about: the words of its phrasings that name its subject, chosen by TF-IDF (note 0013); and
// which words may stand beside a name without making it another name.
//
// Thread-safety: pure functions over an immutable Lexicon.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "knowledge_cache/gate/relation_bank.h"
#include "knowledge_cache/packs/fact.h"
#include "text/words.h"

namespace pmt::knowledge_cache {

/// What is known of the language: how rare words are, and which follow the thing that a question asks about.
class Lexicon {
 public:
  Lexicon(Rarity rarity, const BankOptions& bank);

  double rarity(std::string_view folded) const { return rarity_(folded); }
  /// A word of the bank's questions, or a function word: nothing that names a thing.
  bool is_common(const std::string& folded) const;
  /// "weigh", "cost", "based", "is": what follows a name that is complete.
  bool may_follow(const std::string& folded) const;
  /// Written like a part of a name here, or too rare for anything else.
  bool is_name_like(const text::Word& word) const;
  /// By itself enough to tell what is meant, where only one thing has it.
  bool is_distinctive(const std::string& folded) const;

 private:
  Rarity rarity_;
  std::unordered_set<std::string> common_, follows_;
};

struct Mention {
  std::size_t begin = 0, end = 0;  // bytes of the first phrasing, its article outside
  std::vector<std::string> words;  // folded
};

/// The words that all phrasings share and that are the least expected elsewhere; a `subject` that occurs in
/// the first phrasing settles it. Errors: no word stands out (names the way out).
base::Result<Mention> choose_mention(const std::vector<std::string>& phrasings, const std::string& subject,
                                     const Lexicon& lexicon);

/// Where `mention` (folded words) stands in `words`, word for word: index of its first word, or npos.
std::size_t find_mention(const std::vector<text::Word>& words, const std::vector<std::string>& mention);

/// "2023": a time that a name may stand before, and no part of it.
bool is_year(const text::Word& word);

/// `text` with what `mention` names masked; empty where it isn't there.
std::string masked_mention(std::string_view text, const std::vector<std::string>& mention);

/// `text` with the bytes [begin, end), and an article before them, replaced by "this thing".
std::string masked(std::string_view text, std::size_t begin, std::size_t end);

/// The fact as one sentence: "The R of X is A.", or "X: A."
std::string statement_of(const Fact& fact, std::string_view mention);

}  // namespace pmt::knowledge_cache
