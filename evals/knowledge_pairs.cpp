#include "evals/knowledge_pairs.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "evals/question_pairs.h"
#include "lab/invented_facts.h"
#include "lab/measure.h"

namespace pmt::evals {
using namespace lab;
namespace {

constexpr unsigned kSeed = 28;
constexpr const char* kKinds[] = {"company", "product", "person", "place", "software", "event"};

/// A thing for each pair: patterns say {company1}, {person1}, ...
Fillers invented_names() {
  Fillers names;
  for (const InventedThing& thing : invent(9000, kSeed).things)
    names[kKinds[thing.kind]].push_back(thing.called());
  return names;
}

base::Status teach(Subject& subject, const std::string& domain,
                   const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string lines;
  for (const auto& [prompt, answer] : facts)
    lines += nlohmann::json{{"prompt", prompt}, {"answer", answer}}.dump() + "\n";
  TRY_ASSIGN(const auto report,
             subject.library().learn(domain, knowledge_cache::parse_facts(lines, {}), "eval", {}));
  for (const auto& error : report.errors)
    progress(fmt::format("{}: line {}: {}", domain, error.line, error.message));
  for (const auto& one : report.contradictions)
    progress(fmt::format("{}: \"{}\" contradicts what {} says", domain, one.prompt, one.known_answer));
  return {};
}

void count(Share& share, bool is, bool wanted, const std::string& asked, const Answer& answer) {
  share.add(is);
  if (is != wanted) progress(fmt::format("  {}: \"{}\"", asked, answer.text));
}

}  // namespace

base::Result<Shares> examine_pairs(Subject& subject, const std::string& file, std::size_t each) {
  TRY_ASSIGN(const auto pairs, question_pairs(file, each, kSeed, invented_names()));
  std::vector<std::pair<std::string, std::string>> first, second;
  for (const QuestionPair& pair : pairs) {
    if (pair.parts.size() != (pair.same ? 3U : 4U))
      return base::invalid(
          fmt::format("{}: \"{}\" has {} parts", file, pair.parts.front(), pair.parts.size()));
    first.emplace_back(pair.parts[0], pair.parts[2]);
    if (!pair.same) second.emplace_back(pair.parts[1], pair.parts[3]);
  }
  Shares shares;
  TRY(teach(subject, "first", first));
  for (const QuestionPair& pair : pairs) {
    const Answer answer = subject.ask({pair.parts[1]}, true);
    const bool said = exact(answer, pair.parts[2]);
    count(shares[pair.kind + (pair.same ? ": reworded" : ": wrong")], said, pair.same, pair.parts[1], answer);
  }
  TRY(teach(subject, "first", second));
  for (const QuestionPair& pair : pairs) {
    if (pair.same) continue;
    for (const std::size_t i : {0, 1}) {
      const Answer answer = subject.ask({pair.parts[i]}, true);
      count(shares[pair.kind + ": both taught"], exact(answer, pair.parts[i + 2]), true, pair.parts[i],
            answer);
    }
  }
  TRY(subject.library().forget("first"));
  return shares;
}

}  // namespace pmt::evals
