#include "rlm/part_writer.h"

#include <string_view>

#include <fmt/format.h>

#include "base/trimmed.h"
#include "rlm/prose_question.h"

namespace pmt::rlm {
namespace {

constexpr int kPartTokensMax = 48;

constexpr char kSplitter[] =
    "A question may describe something without naming it. Write the question that finds out its name. If nothing is "
    "described so, write: One step.";

struct Example {
  const char *question, *part;
};
constexpr Example kExamples[] = {
    {"In which year was the painter of The Blue Gate born?", "Who is the painter of The Blue Gate?"},
    {"How tall is the tower in the town where Ann Lee lives?", "In which town does Ann Lee live?"},
    {"What colour is the hat of Tom Reed?", "One step."},
    {"What does the man who repairs the clock of Dover sell?", "Who repairs the clock of Dover?"},
    {"Which prize did the ship that Ann Lee commands win?", "Which ship does Ann Lee command?"}};

constexpr char kOneQuestion[] = "root ::= \"One step.\" | [A-Z] [^?\\n]+ \"?\"\n";

}  // namespace

base::Result<Part> part_of(Run& run, const std::string& question, const std::string& known) {
  Part part;
  if (known.empty()) part.question = described_part(question);
  if (!part.question.empty()) return part;
  part.prompt.push_back(message("system", kSplitter));
  for (const Example& example : kExamples) {
    part.prompt.push_back(message("user", example.question));
    part.prompt.push_back(message("assistant", example.part));
  }
  part.prompt.push_back(
      message("user", known.empty() ? question : fmt::format("Known already: {}\n{}", known, question)));
  AskOptions options{.max_tokens = kPartTokensMax, .stop = {"\n"}, .exact = true};
  if (run.root.parameters > 0) options.form = grammar_form(kOneQuestion);  // it runs here
  TRY_ASSIGN(const Answer answer, run.asker.ask(run.root, part.prompt, options));
  part.response = answer.text;
  part.seconds = answer.seconds;
  const std::string_view said = base::trimmed(answer.text);
  const bool names =
      names_one_of(prose_question(question), said);  // without it it asks for anything of its kind
  if (said.ends_with('?') && names && is_part_of(std::string(said), question)) part.question = said;
  return part;
}

}  // namespace pmt::rlm
