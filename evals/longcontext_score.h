// What answers to questions over long texts are worth, by task, length and arm. An answer is its first line up to the
// bracket in which an engine says what it read. Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "evals/longcontext_worlds.h"
#include "lab/measure.h"

namespace pmt::evals {

struct LongReply {
  std::string text = {};
  double seconds = 0, prompt_tokens = 0, cached_tokens = 0, written_tokens = 0, calls = 1;
  std::string given_up = {};  // there is no answer, and why; the question doesn't count
};

/// A needle: its number stands in the answer. A count: the first number of the answer. A choice: the first of them that
/// the answer names.
bool is_right(const LongItem& item, const std::string& said);
/// 1 of a right answer; of a wrong count 0.75 to the power of what it is off by, as OOLONG has it; else 0.
double credit_of(const LongItem& item, const std::string& said);

class LongScores {
 public:
  struct Where {
    std::string task, length, arm;
  };
  /// One asked question.
  void add(const Where& where, const LongItem& item, const LongReply& reply);
  /// What of a row was not run, and why.
  void note(const Where& where, const std::string& what);
  /// A row for each task, length and arm, and one over the kinds of each task's questions.
  void add_rows(lab::Result& result) const;
  /// The rate of right answers and their seconds at the median; n of 0 where nothing was asked.
  struct Figures {
    double n = 0, right = 0, s_median = 0;
  };
  Figures figures(const Where& where) const;

 private:
  struct Row {
    double n = 0, right = 0, credit = 0, prompt = 0, cached = 0, written = 0, calls = 0;
    std::vector<double> seconds = {};
    std::map<std::string, std::pair<int, int>> kinds = {};  // right, of
    std::string note = {};
  };
  std::map<std::tuple<std::string, std::string, std::string>, Row> rows_;
};

}  // namespace pmt::evals
