// Questions with keys for the router, in kinds of traffic: seeded arithmetic and code of ours, people's
// questions about a paragraph (DIR/xquad_en) and about facts (DIR/webquestions, entityquestions,
// rome_known), or a file of one's own. Thread-safety: pure functions but for files and RoutingJudge, which
// is one thread's.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace pmt::evals {

struct RoutingQuestion {
  std::string set;  // the kind of traffic
  std::string text;
  std::vector<std::string> answers = {};  // one of them is enough
  std::string check = {};                 // of code: Python that prints True where `f` does what was asked
  int max_tokens = 32;
  bool few_shot =
      false;  // asked by /v1/completions after examples, as a model needs it that follows no instructions
};

/// Sums, products and shares with one number as the answer; each differs.
std::vector<RoutingQuestion> arithmetic_questions(int n, unsigned seed);

/// "Write a Python function f ...", each with a program that tries it; each differs.
std::vector<RoutingQuestion> code_questions(int n, unsigned seed);

/// `n` at most of the set, drawn by the seed: of `arithmetic`, `code`, `articles`, `webquestions`,
/// `entityquestions`, `rome_known`. Ends the program, which says why, if there is no such set or no data.
std::vector<RoutingQuestion> draw_questions(const std::string& set, const std::filesystem::path& data, int n,
                                            unsigned seed);

/// One JSON object a line: "question", "answers" (strings), and "set" if there are several kinds.
std::vector<RoutingQuestion> read_questions(const std::filesystem::path& file);

/// Whether an answer is right. Code runs in the sandbox, opened with the first.
class RoutingJudge {
 public:
  bool is_right(const RoutingQuestion& question, const std::string& said);

 private:
  bool code_is_right(const RoutingQuestion& question, const std::string& said);
  std::unique_ptr<sandbox::Sandbox> sandbox_;
};

}  // namespace pmt::evals
