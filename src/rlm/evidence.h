// The sentences of found passages that bear on a question, for a model that is too small to read whole
// passages. Thread-safety: pure functions. Cost: one pass over the passages.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rlm/passages.h"

namespace pmt::rlm {

struct Evidence {
  double score = 0;    // how much of the question it holds, each word weighted by its rarity
  bool whole = false;  // it holds every word that the question asks by
  Span span;           // in the text
  std::string text;    // without line ends, 400 bytes at most
};

/// At most four, in the text's order. Where one holds all of the question's words, those with some are left
/// out: they are of other things that are asked alike, and mislead.
std::vector<Evidence> evidence_of(const Passages& passages, const std::vector<Found>& read,
                                  const Ranked& found);

/// Those with all of the question's words, each as a passage of its own; none where the one passage that was
/// read is no more than such a sentence. At most four, in the text's order.
std::vector<Found> whole_sentences(const Passages& passages, const std::vector<Found>& read,
                                   const Ranked& found);

/// Puts those first among `found` whose best sentence holds most of the question's words, weighted by their
/// rarity, beside their own score. Returns how many of them have a sentence with all of the words: they stand
/// first.
std::size_t order_by_sentences(const Passages& passages, Ranked& found);
/// The share of the question's words, weighted by their rarity and without `names`, that a passage holds.
double share_held(const Ranked& found, const std::set<std::string>& names, std::string_view passage);

/// The sentence of a passage that byte `at` of it stands in; of verse and tables its line.
Span sentence_around(std::string_view passage, std::size_t at);

/// words_of(), each once.
std::set<std::string> word_set(std::string_view text);

}  // namespace pmt::rlm
