// How alike two answers are, by their words. Thread-safety: pure. Cost: O(words log words).
#pragma once

#include <map>
#include <string>

#include "text/plain_words.h"

namespace pmt::evals {

/// F1 of the words that both have, 0 to 1. Case and punctuation don't count.
inline double word_f1(const std::string& a, const std::string& b) {
  const auto said = text::plain_words(a), wanted = text::plain_words(b);
  std::map<std::string, int> counts;
  for (const auto& word : wanted) ++counts[word];
  double same = 0;
  for (const auto& word : said) same += counts[word]-- > 0 ? 1 : 0;
  return same == 0 ? 0 : 2 * same / static_cast<double>(said.size() + wanted.size());
}

}  // namespace pmt::evals
