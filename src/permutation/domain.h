// What a request is about: by keywords, and by embeddings where there is an embedder (note 0014).
// Thread-safety: Domains is immutable. Cost: one pass over the question's words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "llm/request.h"

namespace pmt::permutation {

/// The text that asks: the last user message, or the prompt.
std::string question_of(const llm::Request& request);

/// text::plain_words, with "c++" as one.
std::vector<std::string> words_of(std::string_view text);

struct DomainGuess {
  std::string name = "general";
  double score = 0;  // keywords of it among the question's words, 0..1
};

class Domains {
 public:
  Domains();
  /// "general" when no keyword occurs; of equal scores the first by name.
  DomainGuess classify(const std::vector<std::string>& words) const;

 private:
  struct Domain {
    std::string name;
    std::vector<std::string> keywords;  // sorted
  };
  std::vector<Domain> domains_;
};

}  // namespace pmt::permutation
