#include "text/stems.h"

#include <algorithm>

#include "text/english.h"
#include "text/plain_words.h"

namespace pmt::text {
namespace {

bool is_vowel(char c) {
  return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

bool has_vowel(std::string_view word) {
  return std::any_of(word.begin(), word.end(), is_vowel);
}

/// The first of a line by each of its words: "lent" -> "lend", "feet" -> "foot".
WordMap forms_of(std::string_view file) {
  WordMap forms;
  for (const std::string_view line : english(file)) {
    const auto words = fields_of(line);
    for (const std::string_view word : words) forms.emplace(word, words.front());
  }
  return forms;
}

const WordMap& irregular_verbs() {
  static const WordMap kForms = forms_of("irregular_verbs");
  return kForms;
}

const WordMap& irregular() {
  static const WordMap kForms = [] {
    WordMap forms = irregular_verbs();
    forms.merge(forms_of("irregular_nouns"));
    return forms;
  }();
  return kForms;
}

/// Cuts "ed" or "ing" and undoubles what stood before: "planned" -> "plan".
bool cut_ending(std::string& word, std::string_view ending) {
  if (!word.ends_with(ending) || word.size() < ending.size() + 2) return false;
  const std::string rest = word.substr(0, word.size() - ending.size());
  if (!has_vowel(rest) || (ending == "ed" && rest.back() == 'e')) return false;
  word = rest;
  const std::size_t n = word.size();
  const char last = word[n - 1];
  if (n > 3 && last == word[n - 2] && !is_vowel(last) && last != 's' && last != 'l') word.pop_back();
  return true;
}

/// Without one long ending.
std::string_view root_of(std::string_view word) {
  constexpr std::size_t kLeft = 4;
  for (const std::string_view ending :
       {"ization", "isation", "ation", "ing", "ment", "ion", "ed", "er", "ly", "e", "y"}) {
    if (word.size() >= ending.size() + kLeft && word.ends_with(ending))
      return word.substr(0, word.size() - ending.size());
  }
  return word;
}

}  // namespace

std::string stem_of(std::string_view word) {
  if (const auto found = irregular().find(word); found != irregular().end())
    return std::string(found->second);
  std::string stem = singular(std::string(word));
  if (const auto found = irregular().find(stem); found != irregular().end())
    return std::string(found->second);
  if (!cut_ending(stem, "ing")) cut_ending(stem, "ed");
  if (const auto found = irregular().find(stem); found != irregular().end())
    return std::string(found->second);
  constexpr std::size_t kLeft = 2;
  if (stem.size() > kLeft && stem.back() == 'e') stem.pop_back();
  if (stem.size() > kLeft && (stem.back() == 'i' || stem.back() == 'y')) stem.pop_back();
  return stem;
}

bool alike(std::string_view a, std::string_view b) {
  const std::string_view x = root_of(a), y = root_of(b);
  if (x == y) return true;
  constexpr std::size_t kGrown = 5;
  const std::size_t shorter = std::min(x.size(), y.size());
  return shorter >= kGrown && x.substr(0, shorter) == y.substr(0, shorter);
}

bool may_be_participle(std::string_view word) {
  if (word.size() > 3 && word.ends_with("ed")) return true;
  const auto found = irregular_verbs().find(word);
  return found != irregular_verbs().end() && !word.ends_with("ing");
}

}  // namespace pmt::text
