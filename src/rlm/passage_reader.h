// Has the leaf model read passages and answer with a quote, which must stand in one of them. What doesn't is
// said to it once; then the passages don't tell. A leaf below 1B parameters is given the sentences that
// bear on the question instead, and the quote is the one that has the words of its answer.
//
// Thread-safety: one thread's. Errors: the asker's. Cost: one call of the leaf, two at most: some 300 tokens
// a passage.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rlm/prose_question.h"
#include "rlm/run.h"

namespace pmt::rlm {

/// One reading.
struct Reading {
  std::string answer;                   // "": the passages don't tell
  Span quote = {};                      // in the text
  Span passage = {};                    // that it stands in
  std::vector<std::string> facts = {};  // taught ones that answer it: there is no quote then
  std::string why_not = {};
  std::vector<llm::Message> prompt = {};  // of the last call; with its
  std::string response = {};
  double seconds = 0;  // of all calls

  bool found() const { return !answer.empty(); }
};

class PassageReader {
 public:
  /// Both outlive this.
  PassageReader(Run& run, const Passages& passages) : run_(run), passages_(passages) {}

  /// `read`: of what was `found` for the question.
  base::Result<Reading> read(const ProseQuestion& question, const std::vector<Found>& read,
                             const Ranked& found);

  /// Below 1B parameters a model copies no words, or says of all that it is not there (0.5B: 8 of 8).
  static bool can_quote(const Model& model) {
    return model.parameters == 0 || model.parameters >= 1'000'000'000;
  }

 private:
  base::Result<Reading> read_passages(const ProseQuestion& question, const std::vector<Found>& read);
  base::Result<Reading> read_sentences(const ProseQuestion& question, const std::vector<Found>& read,
                                       const Ranked& found);
  void judge(const ProseQuestion& question, const std::vector<Found>& read, Reading& reading) const;

  Run& run_;
  const Passages& passages_;
};

}  // namespace pmt::rlm
