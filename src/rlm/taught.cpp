#include "rlm/taught.h"

#include <fmt/format.h>

#include "base/trimmed.h"
#include "rlm/trajectory.h"

namespace pmt::rlm {

base::Result<std::optional<Answer>> taught_answer(Run& run, const std::string& question) {
  const bool runs_here = run.leaf.parameters > 0;
  if (!run.asker.has_knowledge() || !runs_here) return std::nullopt;
  const std::vector prompt = {message("user", question)};
  TRY_ASSIGN(const Answer tried, run.asker.ask(run.leaf, prompt, {.max_tokens = 1}));
  if (tried.facts.empty()) return std::nullopt;
  TRY_ASSIGN(Answer answer, run.asker.ask(run.leaf, prompt, {.max_tokens = run.bounds.answer_tokens}));
  answer.text = base::trimmed(answer.text);
  if (answer.facts.empty() || answer.text.empty()) return std::nullopt;  // forgotten meanwhile
  return answer;
}

base::Result<std::optional<Outcome>> answer_from_knowledge(Run& run, const std::string& question) {
  TRY_ASSIGN(const auto answer, taught_answer(run, question));
  if (!answer) return std::nullopt;
  Outcome outcome;
  outcome.answer = answer->text;
  for (const std::string& fact : answer->facts) outcome.answer += fmt::format("\n(taught: {})", fact);
  outcome.strategy = {{"program", "knowledge"},
                      {"why", "what the domains were taught answers it: the context was not read"},
                      {"facts", answer->facts}};
  outcome.reasoning.push_back({{"step", "taught"}, {"facts", answer->facts}, {"answer", answer->text}});
  outcome.trajectory = {{"run_metadata", run_metadata(run, 0)}, {"iterations", nlohmann::json::array()}};
  return outcome;
}

}  // namespace pmt::rlm
