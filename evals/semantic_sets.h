// Streams of questions with known answers, for `eval semantic`: which two of them have the same one.
// Everything is read from --data DIR or made by templates of ours; nothing of the data is kept here.
#pragma once

#include <string>
#include <vector>

namespace pmt::evals {

struct Question {
  std::string text;
  int answer = 0;  // equal: the answers are the same
  int group = 0;   // questions of one group are in the same half
};

struct QuestionSet {
  std::string name;
  std::vector<Question> questions;  // shuffled by the seed, no text twice
};

/// Those whose files are there; for the others `missing` says what was looked for and where it comes from.
std::vector<QuestionSet> read_question_sets(const std::string& data, unsigned seed,
                                            std::vector<std::string>& missing);

}  // namespace pmt::evals
