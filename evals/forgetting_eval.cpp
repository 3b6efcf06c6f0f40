// ./dev eval forgetting [--data DIR] [--facts N] [--n N] [--seeds N] [--model NAME|PATH] [--plot FILE.svg]
// [--gates]
//
// Teaches facts in ten domains, one after another, to the real model: invented ones, and those of
// EntityQuestions and TOFU that it gets wrong. Then asks: live greedy decoding through the completer that a
// server has, the mention found by the gate itself, one thread. Beside it: the bare model, and the model with
// the gold fact, or with the fact that the embedder finds nearest, in its prompt (RAG). The relations asked
// for are left out of the bank that the gate is fitted on.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "forgetting_data.h"
#include "forgetting_subject.h"
#include "invented_facts.h"
#include "measure.h"

namespace pmt::bench {
namespace {

using nlohmann::json;

constexpr std::size_t kDomains = 10;

struct Options {
  std::string data, model, plot;
  std::size_t facts = 1000;
  std::size_t asked = 50;  // questions a row and seed
  int seeds = 3;
  bool gates_only = false;  // no model runs: which facts fire, not what is said
};

enum class Method { kOurs, kRagGold, kRag, kBase };  // kRag: the fact that the embedder finds nearest

using Shares = std::map<std::string, Share>;

/// The world's facts as JSON lines of one domain.
std::string lines_of_domain(const InventedWorld& world, std::size_t domain, std::size_t of) {
  std::string lines;
  for (std::size_t i = 0; i < world.facts.size(); ++i) {
    const InventedFact& fact = world.facts[i];
    if (fact.thing % of != domain) continue;
    const InventedThing& thing = world.things[fact.thing];
    auto phrasings = taught_phrasings(invented_relations()[thing.kind][fact.relation].name, thing.called());
    const std::string prompt = phrasings.front();
    phrasings.erase(phrasings.begin());
    lines += json{{"id", std::to_string(i)},
                  {"prompt", prompt},
                  {"answer", fact.answer},
                  {"paraphrases", phrasings}}
                 .dump() +
             "\n";
  }
  return lines;
}

std::string with_wrong_letter(std::string name, std::mt19937& random) {
  const std::size_t at = 1 + random() % (name.size() - 2);
  const char before = name[at];
  while (name[at] == before) name[at] = static_cast<char>('a' + random() % 26);
  return name;
}

/// Every question about one world, asked of one method.
class Examination {
 public:
  Examination(Subject& subject, const InventedWorld& world, Method method, std::size_t asked,
              std::uint32_t seed)
      : subject_(subject), world_(world), method_(method), asked_(asked), random_(seed) {
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
      if (method_ == Method::kRag) strangers(i, thing, relation);
      if (!ours) continue;
      right("possessive", {fmt::format("What is {}'s {}?", called, relation.name)}, fact);
      right("article",
            {taught_phrasings(relation.name, thing.article.empty() ? thing.full : "a " + thing.full)[0]},
            fact);
      right("lowercase", {lower(prompt)}, fact);
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
      two_things(i, fact, thing, relation);
      strangers(i, thing, relation);
    }
    return shares_;
  }

 private:
  std::string statement_of(const InventedFact& fact) const {
    const InventedThing& thing = world_.things[fact.thing];
    return fmt::format("The {} of {} is {}.", invented_relations()[thing.kind][fact.relation].name,
                       thing.called(), fact.answer);
  }
  void embed_statements() {
    for (const InventedFact& fact : world_.facts) statements_.push_back(statement_of(fact));
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
        method_ == Method::kRagGold ? statement_of(fact) : nearest_statement(turns.back());
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
  /// Nothing that was taught may be said: of unseen things, of siblings, of what wasn't taught.
  void strangers(std::size_t i, const InventedThing& thing, const InventedRelation& relation) {
    const InventedThing& stranger = world_.strangers[random_() % world_.strangers.size()];
    const auto& its = invented_relations()[stranger.kind][random_() % 6];
    wrong("stranger", i % 2 == 0 ? taught_phrasings(its.name, stranger.called())[0]
                                 : far_phrasing(its, i, stranger.called()));
    const InventedThing& sibling = world_.siblings[static_cast<std::size_t>(&thing - world_.things.data())];
    wrong("sibling", i % 2 == 0 ? taught_phrasings(relation.name, sibling.called())[0]
                                : far_phrasing(relation, i, sibling.called()));
    const auto& untaught = invented_relations()[thing.kind][thing.untaught[random_() % 3]];
    wrong("untaught near", i % 2 == 0 ? near_phrasing(untaught.name, thing.called())
                                      : taught_phrasings(untaught.name, thing.called())[0]);
    wrong("untaught far", far_phrasing(untaught, i, thing.called()));
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
  std::mt19937 random_;
  std::vector<std::string> statements_;
  llm::Embeddings embedded_;  // of the statements
  Shares shares_;
};

void plot(const std::string& path, const std::vector<std::vector<double>>& retained) {
  std::ofstream svg(path);
  svg << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 360\" font-family=\"sans-serif\" "
         "font-size=\"12\">\n"
      << "<text x=\"60\" y=\"24\">Share of each domain's facts recalled, after each domain taught (knowledge "
         "cache)</text>\n"
      << "<path d=\"M60 40V310H620\" fill=\"none\" stroke=\"#444\"/>\n";
  for (int tick = 0; tick <= 4; ++tick)
    svg << fmt::format("<text x=\"20\" y=\"{}\">{:.2f}</text>\n", 314 - tick * 65, tick * 0.25);
  for (std::size_t d = 0; d < retained.size(); ++d) {
    std::string points;
    for (std::size_t after = d; after < retained.size(); ++after)
      points += fmt::format("{:.0f},{:.1f} ", 60 + 56.0 * static_cast<double>(after + 1),
                            310 - 260 * retained[after][d] + 0.6 * static_cast<double>(d));
    svg << fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"hsl({} 70% 40%)\" stroke-width=\"2\"/>\n", points,
        d * 36);
  }
  svg << "<text x=\"300\" y=\"345\">domains taught</text>\n</svg>\n";
}

void add_target(Result& result, const Shares& shares, const char* row, const char* asked, double bound,
                bool at_least) {
  const auto found = shares.find(row);
  if (found == shares.end() || found->second.n == 0) return;
  const double value = found->second.value();
  const auto [low, high] = found->second.interval();
  result.targets.push_back({fmt::format("{} (of {}; 95%: {:.3f} to {:.3f})", row, found->second.n, low, high),
                            asked, value, at_least ? value >= bound : value <= bound});
}

void merge(Shares& into, const Shares& more) {
  for (const auto& [name, share] : more) {
    into[name].n += share.n;
    into[name].yes += share.yes;
  }
}

/// What all seeds measured.
struct Findings {
  Shares ours, rag_gold, rag, base;
  Share retained, changed;
  TextReading text;
  std::vector<double> learning_s, forget_ms, open_ms, closed_ms, prefill_ms, swap_ms, lookup_ms;
  double bytes = 0;
  std::vector<std::vector<double>> retained_after;  // [after][domain], of the last seed
};

/// One seed: a world taught, asked about, changed and forgotten.
class Round {
 public:
  Round(const Options& options, int seed, Subject& subject, Findings& found)
      : options_(options),
        seed_(seed),
        subject_(subject),
        found_(found),
        world_(invent(options.facts, 7 + static_cast<std::uint32_t>(seed))),
        random_(11 + static_cast<std::uint32_t>(seed)) {}

  bool run() {
    if (!options_.gates_only)
      real_ = facts_it_gets_wrong(subject_, options_.data, std::max<std::size_t>(1, options_.asked / 3),
                                  static_cast<std::size_t>(seed_));
    if (!teach()) return false;
    progress("the knowledge cache");
    merge(found_.ours, Examination(subject_, world_, Method::kOurs, options_.asked, 21).run());
    ask_real_facts();
    measure_times();
    if (!options_.gates_only) {
      const std::size_t fewer = std::max<std::size_t>(1, options_.asked / 3);
      progress("the gold fact in the prompt");
      merge(found_.rag_gold, Examination(subject_, world_, Method::kRagGold, fewer, 21).run());
      progress("the nearest fact in the prompt");
      merge(found_.rag, Examination(subject_, world_, Method::kRag, fewer, 21).run());
      merge(found_.base, Examination(subject_, world_, Method::kBase, fewer, 21).run());
      progress("answers that were right before");
      const Share more = changed_answers(subject_, options_.data, options_.asked);
      found_.changed.n += more.n;
      found_.changed.yes += more.yes;
    }
    if (seed_ == 0) found_.text = read_text(subject_, options_.data, options_.gates_only ? 1000 : 10'000);
    return update() && forget();
  }

 private:
  const InventedThing& thing_of(const InventedFact& fact) const { return world_.things[fact.thing]; }
  std::string prompt_of(const InventedFact& fact) const {
    const InventedThing& thing = thing_of(fact);
    return taught_phrasings(invented_relations()[thing.kind][fact.relation].name, thing.called())[0];
  }

  bool teach() {
    found_.retained_after.clear();
    for (std::size_t d = 0; d < kDomains; ++d) {
      std::string lines = lines_of_domain(world_, d, kDomains);
      for (std::size_t i = d; i < real_.size(); i += kDomains)
        lines += json{{"prompt", real_[i].prompt}, {"answer", real_[i].answer}}.dump() + "\n";
      const Stopwatch watch;
      const auto report = subject_.library().learn(fmt::format("d{}", d),
                                                   knowledge_cache::parse_facts(lines, {}), "eval", {});
      if (!report) {
        fmt::print(stderr, "{}\n", report.error().message);
        return false;
      }
      found_.learning_s.push_back(report->seconds_a_fact);
      found_.bytes = std::max(found_.bytes, static_cast<double>(report->bytes_a_fact));
      progress(
          fmt::format("domain {}: {} learnt, {} left out, {} recalled, {} of {} unseen phrasings, {:.4f} s a "
                      "fact, {:.4f} with the report",
                      d, report->learnt, report->errors.size() + report->contradictions.size(),
                      report->recalled, report->unseen_recalled, report->unseen_asked, report->seconds_a_fact,
                      watch.seconds() / static_cast<double>(report->given)));
      const bool last = d + 1 == kDomains;
      std::vector<double> row;
      for (std::size_t e = 0; e <= d; ++e) {
        const Share share = recalled_of(e, last ? 10 : 1);
        row.push_back(share.value());
        if (!last) continue;
        found_.retained.n += share.n;
        found_.retained.yes += share.yes;
      }
      found_.retained_after.push_back(std::move(row));
    }
    return true;
  }

  Share recalled_of(std::size_t domain, int count) {
    Share share;
    for (int i = 0; i < count; ++i) {
      std::size_t index = random_() % world_.facts.size();
      while (world_.facts[index].thing % kDomains != domain) index = random_() % world_.facts.size();
      share.add(exact(subject_.ask({prompt_of(world_.facts[index])}, true), world_.facts[index].answer));
    }
    return share;
  }

  void ask_real_facts() {
    for (const RealFact& fact : real_) {
      const char* row = fact.is_tofu ? "TOFU, trained" : "EntityQuestions, trained";
      const Answer answer = subject_.ask({fact.prompt}, true, 96);
      if (!exact(answer, fact.answer))
        progress(fmt::format("  {}: \"{}\" -> \"{}\", wanted \"{}\"", row, fact.prompt,
                             answer.text.substr(0, 60), fact.answer.substr(0, 60)));
      found_.ours[row].add(exact(answer, fact.answer));
      const std::string polite = "Could you please tell me, " + fact.prompt;
      found_.ours[fact.is_tofu ? "TOFU, near" : "EntityQuestions, near"].add(
          exact(subject_.ask({polite}, true, 96), fact.answer));
    }
  }

  /// Gates and look-ups by the clock; questions that no memo has seen.
  void measure_times() {
    std::vector<std::string> names;
    for (const auto& domain : subject_.library().list()) names.push_back(domain.name);
    const auto space = subject_.library().space();
    if (space == nullptr) return;
    const std::string idle = [] {
      std::string text;
      for (int i = 0; i < 60; ++i) text += "The weather was mild and the road went on along the water. ";
      return text + "What would you do next?";
    }();
    for (int i = 0; i < 30; ++i) {
      const Stopwatch swapping;
      const auto domains = subject_.library().find_all(names);
      found_.swap_ms.push_back(swapping.seconds() * 1e3);
      if (!domains) return;
      const InventedFact& fact = world_.facts[random_() % world_.facts.size()];
      const InventedThing& thing = thing_of(fact);
      const Stopwatch open;
      const knowledge_cache::Inquiry inquiry(
          {.turns = {far_phrasing(invented_relations()[thing.kind][fact.relation],
                                  static_cast<std::size_t>(i), thing.called())},
           .raw = false},
          *domains, subject_.library().lexicon());
      found_.lookup_ms.push_back(open.seconds() * 1e3);
      std::vector<llm::EmbedInput> inputs;
      for (const std::string& question : inquiry.questions())
        inputs.push_back({.text = question, .tokens = {}});
      const auto rows = subject_.embedder().embed(std::move(inputs));
      if (rows) (void)inquiry.decide(rows->values, *space);
      found_.open_ms.push_back(open.seconds() * 1e3);
      const Stopwatch closed;
      const knowledge_cache::Inquiry nothing({.turns = {idle}, .raw = false}, *domains,
                                             subject_.library().lexicon());
      found_.closed_ms.push_back(closed.seconds() * 1e3);
    }
    for (int i = 0; i < 3 && !options_.gates_only; ++i) {
      const Stopwatch reading;
      (void)subject_.ask({fmt::format("{} {}", i, idle)}, false, 1);
      found_.prefill_ms.push_back(reading.seconds() * 1e3);
    }
  }

  /// The new value only.
  bool update() {
    for (std::size_t i = 0; i < std::min(options_.asked, world_.facts.size()); ++i) {
      const InventedFact& fact = world_.facts[i];
      const std::string prompt = prompt_of(fact), value = fmt::format("new {}", i);
      const auto parsed = knowledge_cache::parse_facts(
          json{{"id", std::to_string(i)}, {"prompt", prompt}, {"answer", value}}.dump(), {});
      if (!subject_.library().learn(fmt::format("d{}", fact.thing % kDomains), parsed, "eval", {}))
        return false;
      const Answer answer = subject_.ask({prompt}, true);
      found_.ours["update"].add(exact(answer, value) && !holds(answer, fact.answer));
    }
    return true;
  }

  bool forget() {
    for (std::size_t i = 0; i < 10; ++i) {
      const Stopwatch forgetting;
      if (!subject_.library().forget_fact(fmt::format("d{}", world_.facts[i].thing % kDomains),
                                          std::to_string(i)))
        return false;
      found_.forget_ms.push_back(forgetting.seconds() * 1e3);
      const std::string prompt = prompt_of(world_.facts[i]);
      found_.ours["forgotten: same as never taught"].add(subject_.ask({prompt}, true).text ==
                                                         subject_.ask({prompt}, false).text);
    }
    return true;
  }

  const Options& options_;
  const int seed_;
  Subject& subject_;
  Findings& found_;
  const InventedWorld world_;
  std::vector<RealFact> real_;
  std::mt19937 random_;
};

nlohmann::ordered_json row_of(const char* method, const Shares& shares, const Options& options,
                              const Findings* ours) {
  const auto value = [&](const char* name) -> nlohmann::ordered_json {
    const auto found = shares.find(name);
    return found == shares.end() || found->second.n == 0 ? nlohmann::ordered_json()
                                                         : nlohmann::ordered_json(found->second.value());
  };
  const auto only = [&](double number) {
    return ours != nullptr && std::isfinite(number) ? nlohmann::ordered_json(number)
                                                    : nlohmann::ordered_json();
  };
  return {{"method", method},
          {"facts", options.facts},
          {"domains", kDomains},
          {"trained", value("trained")},
          {"near", value("near")},
          {"far", value("far")},
          {"prose", value("prose")},
          {"retained", only(ours == nullptr ? 0 : ours->retained.value())},
          {"changed", only(ours == nullptr ? 0 : ours->changed.value())},
          {"perplexity_delta",
           only(ours == nullptr ? 0 : ours->text.perplexity_with / ours->text.perplexity - 1)},
          {"stranger", value("stranger")},
          {"sibling", value("sibling")},
          {"untaught", value("untaught far")},
          {"s_per_fact", only(ours == nullptr ? 0 : median(ours->learning_s))}};
}

void add_targets(Result& result, Findings& found) {
  Shares& ours = found.ours;
  add_target(result, ours, "trained", ">= 0.99", 0.99, true);
  add_target(result, ours, "TOFU, trained", ">= 0.99", 0.99, true);
  add_target(result, ours, "EntityQuestions, trained", ">= 0.99", 0.99, true);
  add_target(result, ours, "near", ">= 0.97", 0.97, true);
  add_target(result, ours, "TOFU, near", ">= 0.97", 0.97, true);
  add_target(result, ours, "EntityQuestions, near", ">= 0.97", 0.97, true);
  add_target(result, ours, "far", ">= 0.90", 0.90, true);
  for (const char* name : {"possessive", "article", "lowercase", "short name", "statement", "second turn"})
    add_target(result, ours, name, ">= 0.95", 0.95, true);
  add_target(result, ours, "one letter wrong", ">= 0.70", 0.70, true);
  add_target(result, ours, "two things", ">= 0.85", 0.85, true);
  if (found.rag_gold["prose"].n > 0)
    add_target(result, ours, "prose",
               fmt::format(">= {:.3f}, RAG's with the gold fact", found.rag_gold["prose"].value()).c_str(),
               found.rag_gold["prose"].value(), true);
  add_target(result, ours, "update", ">= 0.99", 0.99, true);
  add_target(result, ours, "stranger", "<= 0.01", 0.01, false);
  add_target(result, ours, "sibling", "<= 0.02", 0.02, false);
  add_target(result, ours, "untaught near", "<= 0.01", 0.01, false);
  add_target(result, ours, "untaught far", "<= 0.05", 0.05, false);
  add_target(result, ours, "forgotten: same as never taught", ">= 1", 1, true);
  const auto at_most = [&](std::string what, const char* asked, double value, double bound) {
    result.targets.push_back({std::move(what), asked, value, value <= bound});
  };
  result.targets.push_back({fmt::format("all ten domains after the tenth, of {}", found.retained.n), ">= 1",
                            found.retained.value(), found.retained.value() >= 1});
  if (found.changed.n > 0)
    at_most(fmt::format("right answers that changed, of {}", found.changed.n), "<= 0.001",
            found.changed.value(), 0.001);
  if (found.text.tokens > 0)
    at_most(
        fmt::format("WikiText-2 perplexity, relative: {:.4f} to {:.4f}, {} tokens; fired at {} of {} places",
                    found.text.perplexity, found.text.perplexity_with, found.text.tokens, found.text.fired,
                    found.text.places),
        "<= 0.001", found.text.perplexity_with / found.text.perplexity - 1, 0.001);
  at_most("seconds a fact, the slowest domain", "<= 0.1",
          *std::max_element(found.learning_s.begin(), found.learning_s.end()), 0.1);
  at_most("seconds a fact, the median domain", "<= 0.1", median(found.learning_s), 0.1);
  at_most("bytes a fact", "<= 8192", found.bytes, 8192);
  at_most("ms to forget a fact (median)", "< 10", median(found.forget_ms), 10);
  at_most("ms where a gate opens, an unseen question (median)", "< 40", median(found.open_ms), 40);
  at_most("ms to look up a name (median)", "< 1", median(found.lookup_ms), 1);
  at_most("ms to swap ten domains (median)", "< 1", median(found.swap_ms), 1);
  if (!found.prefill_ms.empty())
    at_most("closed gate over 3,500 bytes, share of their prefill", "< 0.03",
            median(found.closed_ms) / median(found.prefill_ms), 0.03);
}

int eval(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  spdlog::set_level(spdlog::level::warn);  // its lines would stand among the JSON
  Options options;
  options.gates_only = take_flag(args, "--gates");
  options.data = take_value(args, "--data", "../shared/data");
  options.model = take_value(args, "--model", "");
  options.plot = take_value(args, "--plot", "");
  options.facts = std::stoul(take_value(args, "--facts", "1000"));
  options.asked = std::stoul(take_value(args, "--n", "50"));
  options.seeds = std::stoi(take_value(args, "--seeds", "3"));
  if (!args.empty() || options.facts < 30 || options.asked < 1 || options.seeds < 1) {
    fmt::print(
        stderr,
        "usage: eval forgetting [--data DIR] [--model M] [--facts N (30 at least)] [--n N] [--seeds N] "
        "[--gates] [--plot FILE.svg] [--json]\n");
    return 2;
  }
  Findings found;
  for (int seed = 0; seed < options.seeds; ++seed) {
    const Stopwatch watch;
    const std::string root =
        (std::filesystem::temp_directory_path() / fmt::format("pmt-forgetting-{}", getpid())).string();
    std::filesystem::remove_all(root);
    const auto subject = Subject::load(options.model, root, options.gates_only);
    const bool fine = subject != nullptr && Round(options, seed, *subject, found).run();
    std::filesystem::remove_all(root);
    if (!fine) return 1;
    progress(fmt::format("seed {} of {}: {:.0f} s", seed + 1, options.seeds, watch.seconds()));
  }
  Result result{.name = "forgetting", .seed = 7, .rows = {}, .targets = {}};
  result.rows.push_back(row_of("knowledge cache", found.ours, options, &found));
  if (!options.gates_only) {
    result.rows.push_back(row_of("RAG, the gold fact", found.rag_gold, options, nullptr));
    result.rows.push_back(row_of("RAG, the nearest fact", found.rag, options, nullptr));
    result.rows.push_back(row_of("bare model", found.base, options, nullptr));
  }
  add_targets(result, found);
  if (!options.plot.empty()) plot(options.plot, found.retained_after);
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::eval({argv + 1, argv + argc});
}
