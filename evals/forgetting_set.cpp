#include "evals/forgetting_set.h"

#include <algorithm>
#include <fstream>
#include <random>

#include "base/hash.h"
#include "evals/forgetting_score.h"
#include "lab/measure.h"

namespace pmt::evals {
using namespace lab;
namespace {

using nlohmann::json;
using Tokens = std::vector<std::int32_t>;

constexpr std::size_t kKept = 6;
constexpr std::size_t kBackgroundTexts = 60;  // that the sparse memory is made from

class TokenSet {
 public:
  TokenSet(const model::Vocab& vocab, const model::ChatTemplate& chat) : vocab_(vocab), chat_(chat) {}

  base::Result<json> of(const QuestionSet& set, const std::string& data) {
    json out{{"domains", kSetDomains},
             {"facts", json::array()},
             {"questions", json::array()},
             {"known", json::array()}};
    const auto kept = set.kept(kSetDomains);
    for (std::size_t i = 0; i < set.world.facts.size(); ++i) {
      json taught = json::array();
      for (const std::string& text : set.taught(i)) {
        TRY_ASSIGN(Tokens prompt, prompt_of(text));
        taught.push_back(std::move(prompt));
      }
      Tokens target = vocab_.tokenize(set.world.facts[i].answer, {});
      target.push_back(vocab_.eos().value_or(0));
      out["facts"].push_back({{"domain", set.domain_of(i)},
                              {"taught", std::move(taught)},
                              {"target", std::move(target)},
                              {"kept", std::find(kept.begin(), kept.end(), i) != kept.end()}});
    }
    for (const SetQuestion& question : set.questions) {
      TRY_ASSIGN(Tokens prompt, prompt_of(question.text));
      out["questions"].push_back({{"domain", set.domain_of(question.fact)}, {"tokens", std::move(prompt)}});
    }
    for (const auto& [prompt, wanted] : set.known)
      out["known"].push_back({{"tokens", vocab_.tokenize(prompt, {.add_special = true})}});
    add_texts(data, out);
    out["prefix"] = prefix_;
    out["set"] = base::sha256(out.dump()).hex().substr(0, 16);
    return out;
  }

 private:
  base::Result<Tokens> prompt_of(const std::string& text) {
    const model::ChatMessage message{"user", text};
    TRY_ASSIGN(Tokens tokens, chat_.encode_chat({&message, 1}));
    if (prefix_.empty()) prefix_ = tokens;
    const auto end = std::mismatch(prefix_.begin(), prefix_.end(), tokens.begin(), tokens.end()).first;
    prefix_.erase(end, prefix_.end());
    return tokens;
  }
  /// What read_text() reads first, and after it a background that isn't measured.
  void add_texts(const std::string& data, json& out) {
    out["texts"] = out["background"] = json::array();
    std::ifstream file(data + "/wikitext2/valid.txt");
    std::size_t measured = 0;
    for (std::string line; std::getline(file, line) && out["background"].size() < kBackgroundTexts;) {
      if (line.size() < 200) continue;
      Tokens tokens = vocab_.tokenize(line, {});
      tokens.resize(std::min<std::size_t>(tokens.size(), 512));
      if (tokens.size() < 2) continue;
      const bool measures = measured < kSetTextTokens;
      if (measures) measured += tokens.size() - 1;
      out[measures ? "texts" : "background"].push_back(std::move(tokens));
    }
  }

  const model::Vocab& vocab_;
  const model::ChatTemplate& chat_;
  Tokens prefix_;  // that all prompts share
};

}  // namespace

std::vector<std::size_t> QuestionSet::kept(std::size_t domains) const {
  std::vector<std::size_t> out;
  std::vector<std::size_t> of(kSetDomains);
  for (std::size_t i = 0; i < world.facts.size(); ++i) {
    if (domain_of(i) < domains && of[domain_of(i)]++ < kKept) out.push_back(i);
  }
  return out;
}

QuestionSet question_set(std::uint32_t seed, std::size_t facts, std::size_t asked) {
  QuestionSet out;
  out.world = invent(facts, 40 + seed);
  std::mt19937 random(90 + seed);
  for (std::size_t i = 0; i < asked; ++i) {
    const std::size_t fact = random() % out.world.facts.size();
    const InventedThing& thing = out.thing(fact);
    const InventedRelation& relation = out.relation(fact);
    const auto ask = [&](const char* row, std::string text) {
      out.questions.push_back({row, std::move(text), fact});
    };
    ask("trained", out.taught(fact)[i % 4]);
    ask("near", near_phrasing(relation.name, thing.called()));
    ask("far", far_phrasing(relation, i, thing.called()));
    const UntaughtQuestions never =
        untaught_questions(out.world, out.world.facts[fact].thing, relation, i, random);
    ask("stranger", never.stranger);
    ask("sibling", never.sibling);
    ask("untaught", never.far);
  }
  return out;
}

void add_known(Subject& subject, const std::string& data, std::size_t asked, QuestionSet& set) {
  const std::string path = data + "/rome_known/known_1000.json";
  std::ifstream file(path);
  const json known = json::parse(file, nullptr, false);
  if (known.is_discarded()) return progress("known answers are left out: no " + path);
  for (const json& item : known) {
    if (set.known.size() >= asked) return;
    const std::string prompt = item.at("prompt"), wanted = item.at("attribute");
    if (says(subject.ask({prompt}, false, kSetKnownTokens, true).text, wanted))
      set.known.emplace_back(prompt, wanted);
  }
}

base::Result<json> tokens_of(const QuestionSet& set, const std::string& data, const model::Vocab& vocab,
                             const model::ChatTemplate& chat) {
  return TokenSet(vocab, chat).of(set, data);
}

}  // namespace pmt::evals
