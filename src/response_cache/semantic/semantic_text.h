// How alike two questions are by their words: figures for the learnt rule (semantic_rule.h), beside the cosine of
// their embeddings. What tells two questions apart whatever the figures say is text/difference.h.
// Thread-safety: pure functions. Cost: a few microseconds for questions of 20 words.
#pragma once

#include "text/question.h"

namespace pmt::response_cache {

/// All between 0 and 1.
struct Likeness {
  float shared = 0;       // of the content words, how many both have
  float substituted = 0;  // how much of both is one frame around exchanged words: "who owns A" and "... B"
  float contained = 0;    // of the shorter one's content words, how many the other has
  float named = 0;        // names and numbers that both have: 0, 1 (.5), 2 or more (1)
};

Likeness likeness(const text::Question& a, const text::Question& b);

}  // namespace pmt::response_cache
