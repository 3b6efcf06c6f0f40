#include "text/term.h"

#include <set>
#include <unordered_map>

#include "base/check.h"
#include "text/english.h"
#include "text/stems.h"

namespace pmt::text {
namespace {

struct Slots {
  std::unordered_map<std::string_view, int> by_word;
  std::unordered_map<std::string_view, int> by_name;
  std::set<int> ordered;
};

const Slots& slots() {
  static const Slots kSlots = [] {
    Slots all;
    for (auto [word, name] : english_names("slots")) {
      const bool ordered = name.starts_with('!');
      if (ordered) name.remove_prefix(1);
      const int next = static_cast<int>(all.by_name.size());
      const int slot = all.by_name.try_emplace(name, next).first->second;
      all.by_word[word] = slot;
      if (ordered) all.ordered.insert(slot);
    }
    return all;
  }();
  return kSlots;
}

}  // namespace

StemHash hash_of(std::string_view bytes) {
  StemHash hash = 0x811c9dc5U;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193U;
  return hash;
}

StemHash stem_hash(std::string_view word) {
  return hash_of(stem_of(word));
}

std::string_view auxiliary(std::string_view word) {
  static const WordMap kWords = english_names("auxiliaries");
  const auto found = kWords.find(word);
  return found == kWords.end() ? std::string_view() : found->second;
}

bool asks_for_a_thing(std::string_view word) {
  static const WordMap kWords = english_names("asking_words");
  const auto found = kWords.find(word);
  return found != kWords.end() && found->second == "thing";
}

bool is_pronoun(std::string_view word) {
  static const WordSet kWords = english_words("pronouns");
  return kWords.contains(word);
}

bool joins(std::string_view word) {
  static const WordSet kWords = english_words("joining_words");
  return kWords.contains(word);
}

int slot_of(std::string_view word) {
  const auto found = slots().by_word.find(word);
  return found == slots().by_word.end() ? -1 : found->second;
}

int slot_named(std::string_view name) {
  const auto found = slots().by_name.find(name);
  CHECK(found != slots().by_name.end());
  return found->second;
}

bool is_ordered(int slot) {
  return slots().ordered.contains(slot);
}

}  // namespace pmt::text
