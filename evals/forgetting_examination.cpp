#include "evals/forgetting_examination.h"

#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "lab/gate_times.h"
#include "lab/measure.h"
#include "text/plain_words.h"

namespace pmt::evals {
using namespace lab;
namespace {

std::string with_wrong_letter(std::string name, std::mt19937& random) {
  const std::size_t at = 1 + random() % (name.size() - 2);
  const char before = name[at];
  while (name[at] == before) name[at] = static_cast<char>('a' + random() % 26);
  return name;
}

/// Every question about one world, asked of one method.
class Examination {
 public:
  Examination(Subject& subject, const InventedWorld& world, Method method, std::size_t asked)
      : subject_(subject), world_(world), method_(method), asked_(asked) {
    if (method == Method::kRag) embed_statements();
  }

  Shares run() {
    const bool ours = method_ == Method::kOurs;
    for (std::size_t i = 0; i < asked_; ++i) {
      if (i > 0 && i % 10 == 0) progress(fmt::format("  asked about {} of {} facts", i, asked_));
      const std::size_t index = random_() % world_.facts.size();
      const InventedFact& fact = world_.facts[index];
      const InventedThing& thing = world_.things[fact.thing];
      const InventedRelation& relation = invented_relations()[thing.kind][fact.relation];
      const std::string called = thing.called(), prompt = taught_phrasings(relation.name, called)[0];
      right("trained", {prompt}, fact);
      right("near", {near_phrasing(relation.name, called)}, fact);
      right("far", {far_phrasing(relation, i, called)}, fact);
      if (method_ == Method::kBase) continue;
      const std::string far = far_phrasing(relation, i + 1, called);
      const std::string told =
          "Tell a colleague in one or two sentences what the " + relation.name + " of " + called + " is.";
      shares_["prose"].add(holds(ask({told}, fact, 64), fact.answer));
      if (method_ == Method::kRag) strangers(i, fact.thing, relation);
      if (!ours) continue;
      right("possessive", {fmt::format("What is {}'s {}?", called, relation.name)}, fact);
      right("article",
            {taught_phrasings(relation.name, thing.article.empty() ? thing.full : "a " + thing.full)[0]},
            fact);
      right("lowercase", {text::lower(prompt)}, fact);
      right("short name", {taught_phrasings(relation.name, thing.article + thing.name)[0]}, fact);
      InventedThing wrong = thing;
      wrong.full.replace(0, thing.name.size(), with_wrong_letter(thing.name, random_));
      right("one letter wrong", {taught_phrasings(relation.name, wrong.called())[0]}, fact);
      const std::string statement = fmt::format("The {} of {} is", relation.name, called);
      shares_["statement"].add(exact(subject_.ask({statement}, true, 24, true), fact.answer));
      right("second turn",
            {"Can you help me with something?", "Of course. What do you need?",
             i % 2 == 0 ? prompt : near_phrasing(relation.name, called)},
            fact);
      compressed(i, fact, thing, relation);
      two_things(i, fact, thing, relation);
      strangers(i, fact.thing, relation);
    }
    return shares_;
  }

 private:
  void embed_statements() {
    for (const InventedFact& fact : world_.facts) statements_.push_back(statement_of(world_, fact));
    if (auto rows = embedded(statements_)) embedded_ = std::move(*rows);
  }
  base::Result<llm::Embeddings> embedded(const std::vector<std::string>& texts) {
    std::vector<llm::EmbedInput> inputs;
    for (const std::string& text : texts) inputs.push_back({.text = text, .tokens = {}});
    return subject_.embedder().embed(std::move(inputs));
  }
  std::string nearest_statement(const std::string& question) {
    const auto row = embedded({question});
    if (!row || embedded_.width == 0) return "";
    std::size_t best = 0;
    float nearest = -2;
    for (std::size_t i = 0; i < statements_.size(); ++i) {
      float dot = 0;
      for (std::size_t d = 0; d < embedded_.width; ++d)
        dot += embedded_.values[i * embedded_.width + d] * row->values[d];
      if (dot > nearest) {
        nearest = dot;
        best = i;
      }
    }
    return statements_[best];
  }
  Answer ask(const std::vector<std::string>& turns, const InventedFact& fact, int tokens = 24) {
    if (method_ == Method::kOurs || method_ == Method::kBase)
      return subject_.ask(turns, method_ == Method::kOurs, tokens);
    const std::string found =
        method_ == Method::kRagGold ? statement_of(world_, fact) : nearest_statement(turns.back());
    return subject_.ask({found + "\n\n" + turns.back()}, false, tokens);
  }
  void right(const char* what, const std::vector<std::string>& turns, const InventedFact& fact) {
    const Answer answer = ask(turns, fact);
    const bool is = method_ == Method::kOurs ? exact(answer, fact.answer) : holds(answer, fact.answer);
    if (!is && method_ == Method::kOurs && shares_[what].n - shares_[what].yes < 3)
      progress(fmt::format("  {}: \"{}\" -> \"{}\", wanted \"{}\"", what, turns.back(),
                           answer.text.substr(0, 40), fact.answer));
    shares_[what].add(is);
  }
  /// At ratio 8 with speculation on, after a text long enough to be cut down; all domains are on, as always.
  void compressed(std::size_t i, const InventedFact& fact, const InventedThing& thing,
                  const InventedRelation& relation) {
    const auto ask_so = [&](const char* row, const std::string& question) {
      const Answer answer =
          subject_.ask({fmt::format("{}. {}\n\n{}", i, idle_text(), question)}, true, {.kv_ratio = 8});
      shares_[row].add(exact(answer, fact.answer));
      if (answer.kv_ratio < 4 && shares_["kv 8: left uncompressed"].yes == 0)
        progress(fmt::format("  kv 8: the ratio achieved was {:.2f}", answer.kv_ratio));
      shares_["kv 8: left uncompressed"].add(answer.kv_ratio < 4);
    };
    ask_so("kv 8 and speculation, trained", taught_phrasings(relation.name, thing.called())[0]);
    ask_so("kv 8 and speculation, near", near_phrasing(relation.name, thing.called()));
  }
  void two_things(std::size_t i, const InventedFact& fact, const InventedThing& thing,
                  const InventedRelation& relation) {
    const InventedFact& other = world_.facts[random_() % world_.facts.size()];
    if (other.thing == fact.thing) return;
    const InventedThing& second = world_.things[other.thing];
    const auto& second_relation = invented_relations()[second.kind][other.relation];
    const std::string question =
        i % 2 == 0 ? fmt::format("What is the {} of {} and the {} of {}?", relation.name, thing.called(),
                                 second_relation.name, second.called())
                   : fmt::format("What is the {} of {}, and what is the {} of {}?", relation.name,
                                 thing.called(), second_relation.name, second.called());
    const Answer answer = subject_.ask({question}, true, 64);
    shares_["two things"].add(holds(answer, fact.answer) && holds(answer, other.answer));
  }
  /// Nothing that was taught may be said.
  void strangers(std::size_t i, std::size_t thing, const InventedRelation& relation) {
    const UntaughtQuestions questions = untaught_questions(world_, thing, relation, i, random_);
    wrong("stranger", questions.stranger);
    wrong("sibling", questions.sibling);
    wrong("untaught near", questions.near);
    wrong("untaught far", questions.far);
  }
  void wrong(const char* what, const std::string& question) {
    if (method_ == Method::kRag) {
      // Said of something else: the value of the fact that was found.
      const std::string found = nearest_statement(question);
      const Answer answer = subject_.ask({found + "\n\n" + question}, false, 16);
      const std::string value = found.substr(found.rfind(" is ") + 4, found.size() - found.rfind(" is ") - 5);
      return shares_[what].add(holds(answer, value));
    }
    const Answer answer = subject_.ask({question}, true, 12);
    if (!answer.facts.empty() && shares_[what].yes < 4)
      progress(fmt::format("  {}: \"{}\" fired -> \"{}\"", what, question, answer.text));
    shares_[what].add(!answer.facts.empty());
  }

  Subject& subject_;
  const InventedWorld& world_;
  const Method method_;
  const std::size_t asked_;
  std::mt19937 random_{21};
  std::vector<std::string> statements_;
  llm::Embeddings embedded_;  // of the statements
  Shares shares_;
};

}  // namespace

Shares examine(Subject& subject, const InventedWorld& world, Method method, std::size_t asked) {
  return Examination(subject, world, method, asked).run();
}

}  // namespace pmt::evals
