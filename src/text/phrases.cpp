#include "text/phrases.h"

#include <algorithm>

#include "text/english.h"

namespace pmt::text {

Phrases::Phrases(std::string_view file) {
  for (const std::string_view line : english(file)) {
    const std::size_t colon = line.find(": ");
    const bool named = colon != std::string_view::npos;
    for (const std::string_view phrase : fields_of(named ? line.substr(colon + 2) : line)) {
      names_.emplace(phrase, named ? line.substr(0, colon) : phrase);
      const auto words = static_cast<std::size_t>(std::count(phrase.begin(), phrase.end(), '_')) + 1;
      std::size_t& longest = words_max_[phrase.substr(0, phrase.find('_'))];
      longest = std::max(longest, words);
    }
  }
}

std::string_view Phrases::at(const std::vector<Word>& words, std::size_t begin) const {
  const auto longest = words_max_.find(words[begin].folded);
  if (longest == words_max_.end()) return {};
  std::string_view found;
  std::string joined;
  for (std::size_t i = begin; i < std::min(words.size(), begin + longest->second); ++i) {
    if (i > begin) joined += '_';
    joined += words[i].folded;
    if (const auto name = names_.find(joined); name != names_.end()) found = name->second;
  }
  return found;
}

}  // namespace pmt::text
