// Phrases of a file of data/en, found in a text's words: "name: word two_words ...", or without a name, which is then
// the phrase itself. Thread-safety: immutable. Cost: a look into a hash table for a word that begins none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/words.h"

namespace pmt::text {

class Phrases {
 public:
  explicit Phrases(std::string_view file);

  /// The name of the longest phrase that begins there; "" if none does.
  std::string_view at(const std::vector<Word>& words, std::size_t begin) const;

 private:
  std::unordered_map<std::string, std::string_view> names_;      // words joined by _
  std::unordered_map<std::string_view, std::size_t> words_max_;  // by first word
};

}  // namespace pmt::text
