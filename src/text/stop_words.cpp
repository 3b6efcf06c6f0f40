#include "text/stop_words.h"

#include <string>
#include <unordered_map>

#include "text/english.h"
#include "text/plain_words.h"

namespace pmt::text {
namespace {

std::uint8_t use_named(std::string_view name) {
  if (name == "names") return static_cast<std::uint8_t>(StopUse::kNames);
  if (name == "meaning") return static_cast<std::uint8_t>(StopUse::kMeaning);
  return static_cast<std::uint8_t>(StopUse::kSearch);
}

using Uses = std::unordered_map<std::string_view, std::uint8_t>;

Uses read_uses() {
  Uses uses;
  for (const std::string_view line : english("stop_words")) {
    const std::size_t colon = line.find(':');
    std::uint8_t of_line = 0;
    for (const std::string_view use : fields_of(line.substr(0, colon))) of_line |= use_named(use);
    for (const std::string_view word : fields_of(line.substr(colon + 1))) {
      uses[word] |= of_line;
      // Names are compared as they are written.
      if (is_plural(word)) {
        const auto cut = static_cast<std::uint8_t>(of_line & ~use_named("names"));
        if (cut != 0) uses[word.substr(0, word.size() - 1)] |= cut;
      }
    }
  }
  return uses;
}

}  // namespace

bool is_stop_word(std::string_view word, StopUse use) {
  static const Uses kUses = read_uses();
  const auto found = kUses.find(word);
  return found != kUses.end() && (found->second & static_cast<std::uint8_t>(use)) != 0;
}

bool is_article(std::string_view word) {
  static const WordSet kWords = english_words("articles");
  return kWords.contains(word);
}

bool is_name_connector(std::string_view word) {
  static const WordSet kWords = english_words("name_connectors");
  return kWords.contains(word);
}

bool is_title(std::string_view word) {
  static const WordSet kWords = english_words("titles");
  return kWords.contains(word);
}

}  // namespace pmt::text
