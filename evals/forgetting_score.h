// How `eval forgetting --peers` judges what a method said, and what the seeds of one method add up to.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "evals/forgetting_plot.h"
#include "evals/forgetting_set.h"
#include "lab/subject.h"

namespace pmt::evals {

/// Says it as words of their own: "12" isn't in "1234". Case doesn't count.
bool says(const std::string& answer, const std::string& wanted);

/// Rows whose questions ask for what was taught. In the others no taught value may be said.
bool asks_for_taught(const std::string& row);

/// What one method said about one set, in the set's order. Empty: it wasn't asked that.
struct Said {
  std::vector<std::string> answers, known_before, known;
  bool asked_for_taught_only = false;              // `answers` are of those questions alone
  std::vector<std::vector<std::string>> retained;  // [domains taught - 1], of QuestionSet::kept()
  double perplexity_before = 0, perplexity = 0, bytes_per_fact = 0;
  std::vector<double> s_per_fact;
};

/// One method, all seeds.
class Score {
 public:
  explicit Score(std::string method) : method_(std::move(method)) {}

  void add(const QuestionSet& set, const Said& said);

  nlohmann::ordered_json row() const;
  Retention retention() const;

 private:
  void add_answers(const QuestionSet& set, const Said& said);
  void add_known_answers(const QuestionSet& set, const Said& said);
  void add_retained(const QuestionSet& set, const Said& said);

  std::string method_;
  int seeds_ = 0;
  std::size_t facts_ = 0;
  std::map<std::string, lab::Share> shares_;
  std::vector<std::vector<lab::Share>> after_;  // [domains taught - 1][domain]
  std::vector<double> perplexity_before_, perplexity_delta_, bytes_per_fact_, s_per_fact_;
};

}  // namespace pmt::evals
