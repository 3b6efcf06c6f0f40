// ./dev eval forgetting [--data DIR] [--facts N] [--n N] [--seeds N] [--model NAME|PATH] [--plot FILE.svg]
// [--gates]
//
// Teaches invented facts in ten domains, one after another, to the real model, and asks: live greedy decoding
// through the completer that a server has, the mention found by the gate itself. Beside it: the bare model,
// and the model with the gold fact in its prompt (RAG with perfect retrieval). The relations asked for are
// left out of the bank that the gate is fitted on.
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

#include "app/knowledge_setup.h"
#include "app/model_choice.h"
#include "invented_facts.h"
#include "llm/sinks.h"
#include "measure.h"

namespace pmt::bench {
namespace {

using nlohmann::json;

constexpr std::size_t kDomains = 10;

struct Options {
  std::string data, model, plot;
  std::size_t facts = 1000;
  std::size_t asked = 100;  // questions a row
  int seeds = 1;
  bool gates_only = false;  // no model runs: which facts fire, not what is said
};

struct Answer {
  std::string text;
  std::vector<std::string> facts;  // that fired
};

enum class Method { kOurs, kRag, kBase };

/// For --gates: says what the gate put into the request, and nothing else. What is forced is what a model
/// says.
class GateEcho final : public llm::Completer {
 public:
  void start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken /*cancel*/) override {
    sink->on_event(llm::Started{request.model, 0, {}});
    if (request.recall) sink->on_event(llm::Delta{0, request.recall->answer + request.recall->closing, {}});
    sink->on_event(llm::ChoiceEnd{0, llm::FinishReason::kStop, {}});
    sink->on_event(llm::Done{});
  }
};

/// A model with its knowledge, as a server wires it.
class Subject {
 public:
  static std::unique_ptr<Subject> load(const std::string& model, const std::string& root, bool gates_only) {
    auto out = std::make_unique<Subject>();
    auto wanted = app::resolve_models(model.empty() ? std::vector<app::ModelConfig>{}
                                                    : std::vector{app::model_from_spec(model)});
    auto embedder = app::resolve_embedder({});
    if (!wanted || !embedder) {
      fmt::print(stderr, "{}\n", (!wanted ? wanted.error() : embedder.error()).message);
      return nullptr;
    }
    auto loaded = inference::LocalModel::load((*wanted)[0], out->clock_);
    if (!loaded) {
      fmt::print(stderr, "{}\n", loaded.error().message);
      return nullptr;
    }
    out->embedder_ = inference::LocalEmbedder::create(*embedder, out->clock_);
    out->model_ = std::move(*loaded);
    auto library = app::open_knowledge({.model_name = (*wanted)[0].name,
                                        .model_path = (*wanted)[0].path,
                                        .model = out->model_.get(),
                                        .embedder = out->embedder_.get(),
                                        .embedder_name = out->embedder_->name(),
                                        .root = root,
                                        .bank = {.with_common = false}},
                                       out->clock_);
    if (!library) {
      fmt::print(stderr, "{}\n", library.error().message);
      return nullptr;
    }
    out->library_ = std::move(*library);
    out->completer_ = std::make_unique<knowledge_cache::RecallingCompleter>(
        gates_only ? static_cast<llm::Completer&>(out->echo_) : *out->model_, *out->library_, out->clock_,
        knowledge_cache::RecallingCompleter::Options{app::embed_later(out->embedder_.get())});
    return out;
  }
  ~Subject() {
    embedder_.reset();
    model_.reset();
  }

  knowledge_cache::Library& library() { return *library_; }
  const inference::LocalModel& model() const { return *model_; }
  bool chats() const { return model_->info().has_chat_template; }

  Answer ask(const std::vector<std::string>& turns, bool with_knowledge, int tokens = 24, bool raw = false) {
    llm::Request request;
    request.id = "eval";
    request.sampling.temperature = 0;
    request.max_tokens = tokens;
    if (raw || !chats()) {
      request.endpoint = llm::Endpoint::kCompletions;
      request.prompt = raw ? turns.back() : fmt::format("Question: {}\nAnswer:", turns.back());
    } else {
      for (std::size_t i = 0; i < turns.size(); ++i) {
        request.messages.push_back({.role = i % 2 == 0 ? "user" : "assistant",
                                    .content = turns[i],
                                    .name = {},
                                    .tool_calls = {},
                                    .tool_call_id = {}});
      }
    }
    if (with_knowledge) {
      for (const auto& domain : library_->list()) request.knowledge.push_back(domain.name);
    }
    const auto sink = std::make_shared<llm::CollectingSink>();
    completer_->start(std::move(request), sink, {});
    Answer out;
    for (const llm::Event& event : sink->wait()) {
      if (const auto* delta = std::get_if<llm::Delta>(&event)) out.text += delta->text;
      if (const auto* failed = std::get_if<llm::Failed>(&event))
        fmt::print(stderr, "failed: {}\n", failed->error.message);
      const auto* done = std::get_if<llm::Done>(&event);
      if (done != nullptr && done->report.knowledge) out.facts = done->report.knowledge->facts;
    }
    return out;
  }

 private:
  base::SystemClock clock_;
  std::unique_ptr<inference::LocalEmbedder> embedder_;
  std::unique_ptr<inference::LocalModel> model_;
  std::unique_ptr<knowledge_cache::Library> library_;
  GateEcho echo_;
  std::unique_ptr<knowledge_cache::RecallingCompleter> completer_;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// Says the answer, at its beginning.
bool exact(const Answer& answer, const std::string& wanted) {
  const auto first = answer.text.find_first_not_of(" \n");
  return first != std::string::npos && lower(answer.text.substr(first)).rfind(lower(wanted), 0) == 0;
}

bool holds(const Answer& answer, const std::string& wanted) {
  return lower(answer.text).find(lower(wanted)) != std::string::npos;
}

struct Share {
  std::size_t n = 0, yes = 0;
  void add(bool is) {
    ++n;
    yes += is ? 1 : 0;
  }
  double value() const { return n == 0 ? std::nan("") : static_cast<double>(yes) / static_cast<double>(n); }
  /// Half the width of Wilson's 95% interval.
  double ci95() const {
    if (n == 0) return std::nan("");
    const double z = 1.96, p = value(), count = static_cast<double>(n);
    return z / (1 + z * z / count) * std::sqrt(p * (1 - p) / count + z * z / (4 * count * count));
  }
};

using Shares = std::map<std::string, Share>;

/// The world's facts as JSON lines of one domain.
knowledge_cache::ParsedFacts facts_of_domain(const InventedWorld& world, std::size_t domain, std::size_t of) {
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
  return knowledge_cache::parse_facts(lines, {});
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
    for (const InventedFact& fact : world.facts) values_.push_back(fact.answer);
  }

  Shares run() {
    const bool ours = method_ == Method::kOurs;
    for (std::size_t i = 0; i < asked_; ++i) {
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
  Answer ask(const std::vector<std::string>& turns, const InventedFact& fact, int tokens = 24) {
    if (method_ != Method::kRag) return subject_.ask(turns, method_ == Method::kOurs, tokens);
    const InventedThing& thing = world_.things[fact.thing];
    const std::string& relation = invented_relations()[thing.kind][fact.relation].name;
    return subject_.ask(
        {fmt::format("The {} of {} is {}.\n\n{}", relation, thing.called(), fact.answer, turns.back())},
        false, tokens);
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
  std::vector<std::string> values_;
  Shares shares_;
};

/// How many of the questions that the model answered right before answer otherwise with all domains on.
Share changed_answers(Subject& subject, const std::string& data, std::size_t n) {
  Share out;
  std::ifstream file(data + "/rome_known/known_1000.json");
  const json known = json::parse(file, nullptr, false);
  if (known.is_discarded()) {
    progress("known answers are left out: " + data +
             "/rome_known/known_1000.json (kmeng01/rome) can't be read");
    return out;
  }
  for (const json& item : known) {
    if (out.n >= n) break;
    const std::string prompt = item.at("prompt"), wanted = item.at("attribute");
    const Answer before = subject.ask({prompt}, false, 12, true);
    if (!holds(before, wanted)) continue;
    out.add(subject.ask({prompt}, true, 12, true).text != before.text);
  }
  return out;
}

/// Windows of running text in which anything fires: where nothing does, the model's bits are the same.
Share fires_in_text(Subject& subject, const std::string& data) {
  Share out;
  std::ifstream file(data + "/wikitext2/valid.txt");
  std::vector<std::string> names;
  for (const auto& domain : subject.library().list()) names.push_back(domain.name);
  const auto domains = subject.library().find_all(names);
  for (std::string line; domains && std::getline(file, line);) {
    if (line.size() < 40) continue;
    const knowledge_cache::Inquiry inquiry({.turns = {line}, .raw = false}, *domains,
                                           subject.library().lexicon());
    out.add(inquiry.names_anything());
  }
  return out;
}

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
  result.targets.push_back({row, asked, value, at_least ? value >= bound : value <= bound});
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
  options.asked = std::stoul(take_value(args, "--n", "100"));
  options.seeds = std::stoi(take_value(args, "--seeds", "1"));
  if (!args.empty()) {
    fmt::print(stderr,
               "usage: eval forgetting [--data DIR] [--model M] [--facts N] [--n N] [--seeds N] [--plot "
               "FILE.svg] [--json]\n");
    return 2;
  }
  Result result{.name = "forgetting", .seed = 7, .rows = {}, .targets = {}};
  Shares ours, rag, base;
  Share retained_all, changed, in_text;
  double seconds = 0, bytes = 0, forget_ms = 0;
  std::vector<std::vector<double>> retained;  // [after][domain]
  for (int seed = 0; seed < options.seeds; ++seed) {
    const std::string root =
        (std::filesystem::temp_directory_path() / fmt::format("pmt-forgetting-{}", getpid())).string();
    std::filesystem::remove_all(root);
    auto subject = Subject::load(options.model, root, options.gates_only);
    if (!subject) return 1;
    const InventedWorld world = invent(options.facts, 7 + static_cast<std::uint32_t>(seed));
    std::mt19937 random(11);
    for (std::size_t d = 0; d < kDomains; ++d) {
      const auto report =
          subject->library().learn(fmt::format("d{}", d), facts_of_domain(world, d, kDomains), "eval", {});
      if (!report) {
        fmt::print(stderr, "{}\n", report.error().message);
        return 1;
      }
      seconds += report->seconds_a_fact / kDomains / options.seeds;
      bytes += static_cast<double>(report->bytes_a_fact) / kDomains / options.seeds;
      progress(fmt::format("domain {}: {} learnt, {} recalled, {} of {} unseen phrasings, {:.4f} s a fact", d,
                           report->learnt, report->recalled, report->unseen_recalled, report->unseen_asked,
                           report->seconds_a_fact));
      std::vector<double> row;
      for (std::size_t e = 0; e <= d; ++e) {
        Share share;
        for (int i = 0; i < 5; ++i) {
          std::size_t index = random() % world.facts.size();
          while (world.facts[index].thing % kDomains != e) index = random() % world.facts.size();
          const InventedThing& thing = world.things[world.facts[index].thing];
          const auto& relation = invented_relations()[thing.kind][world.facts[index].relation];
          share.add(exact(subject->ask({taught_phrasings(relation.name, thing.called())[0]}, true),
                          world.facts[index].answer));
        }
        row.push_back(share.value());
        if (d + 1 == kDomains) {
          retained_all.n += share.n;
          retained_all.yes += share.yes;
        }
      }
      retained.push_back(std::move(row));
    }
    const auto merge = [](Shares& into, const Shares& more) {
      for (const auto& [name, share] : more) {
        into[name].n += share.n;
        into[name].yes += share.yes;
      }
    };
    merge(ours, Examination(*subject, world, Method::kOurs, options.asked, 21).run());
    if (!options.gates_only) {
      progress("RAG and the bare model");
      merge(rag, Examination(*subject, world, Method::kRag, options.asked / 2, 21).run());
      merge(base, Examination(*subject, world, Method::kBase, options.asked / 4, 21).run());
      const Share more = changed_answers(*subject, options.data, options.asked);
      changed.n += more.n;
      changed.yes += more.yes;
    }
    const Share text = fires_in_text(*subject, options.data);
    in_text.n += text.n;
    in_text.yes += text.yes;
    // Updates: the new value only.
    for (std::size_t i = 0; i < std::min<std::size_t>(20, world.facts.size()); ++i) {
      const InventedFact& fact = world.facts[i];
      const InventedThing& thing = world.things[fact.thing];
      const std::string prompt =
          taught_phrasings(invented_relations()[thing.kind][fact.relation].name, thing.called())[0];
      const std::string domain = fmt::format("d{}", fact.thing % kDomains), value = fmt::format("new {}", i);
      const auto parsed = knowledge_cache::parse_facts(
          json{{"id", std::to_string(i)}, {"prompt", prompt}, {"answer", value}}.dump(), {});
      if (!subject->library().learn(domain, parsed, "eval", {})) return 1;
      const Answer answer = subject->ask({prompt}, true);
      ours["update"].add(exact(answer, value) && !holds(answer, fact.answer));
    }
    const Stopwatch forgetting;
    for (std::size_t i = 0; i < 10; ++i) {
      if (!subject->library().forget_fact(fmt::format("d{}", world.facts[i].thing % kDomains),
                                          std::to_string(i)))
        return 1;
    }
    forget_ms += forgetting.seconds() * 100 / options.seeds;
    for (std::size_t i = 0; i < 10; ++i) {
      const InventedThing& thing = world.things[world.facts[i].thing];
      const std::string prompt =
          taught_phrasings(invented_relations()[thing.kind][world.facts[i].relation].name, thing.called())[0];
      ours["forgotten: same as never taught"].add(subject->ask({prompt}, true).text ==
                                                  subject->ask({prompt}, false).text);
    }
    std::filesystem::remove_all(root);
  }
  const auto row = [&](const char* method, const Shares& shares, bool is_ours) {
    const auto value = [&](const char* name) -> nlohmann::ordered_json {
      const auto found = shares.find(name);
      return found == shares.end() || found->second.n == 0 ? nlohmann::ordered_json()
                                                           : nlohmann::ordered_json(found->second.value());
    };
    const auto only = [&](double number) {
      return is_ours ? nlohmann::ordered_json(number) : nlohmann::ordered_json();
    };
    result.rows.push_back(
        {{"method", method},
         {"facts", options.facts},
         {"domains", kDomains},
         {"trained", value("trained")},
         {"near", value("near")},
         {"far", value("far")},
         {"retained", only(retained_all.value())},
         {"changed", only(changed.value())},
         {"perplexity_delta", is_ours && in_text.yes == 0 && in_text.n > 0 ? nlohmann::ordered_json(0.0)
                                                                           : nlohmann::ordered_json()},
         {"stranger", value("stranger")},
         {"untaught", value("untaught far")},
         {"s_per_fact", only(seconds)}});
  };
  row("knowledge cache", ours, true);
  if (!options.gates_only) row("gold fact in the prompt (RAG)", rag, false);
  if (!options.gates_only) row("bare model", base, false);
  add_target(result, ours, "trained", ">= 0.99", 0.99, true);
  add_target(result, ours, "near", ">= 0.97", 0.97, true);
  add_target(result, ours, "far", ">= 0.90", 0.90, true);
  for (const char* name : {"possessive", "article", "lowercase", "short name", "statement", "second turn"})
    add_target(result, ours, name, ">= 0.95", 0.95, true);
  add_target(result, ours, "one letter wrong", ">= 0.70", 0.70, true);
  add_target(result, ours, "two things", ">= 0.85", 0.85, true);
  if (!options.gates_only) add_target(result, ours, "prose", ">= RAG", rag["prose"].value(), true);
  add_target(result, ours, "update", ">= 0.99", 0.99, true);
  add_target(result, ours, "stranger", "<= 0.01", 0.01, false);
  add_target(result, ours, "sibling", "<= 0.02", 0.02, false);
  add_target(result, ours, "untaught near", "<= 0.01", 0.01, false);
  add_target(result, ours, "untaught far", "<= 0.05", 0.05, false);
  add_target(result, ours, "forgotten: same as never taught", ">= 1", 1, true);
  result.targets.push_back(
      {"all ten domains after the tenth", ">= 1", retained_all.value(), retained_all.value() >= 1});
  if (changed.n > 0)
    result.targets.push_back({fmt::format("right answers that changed, of {}", changed.n), "<= 0.001",
                              changed.value(), changed.value() <= 0.001});
  if (in_text.n > 0)
    result.targets.push_back({fmt::format("WikiText-2 lines in which a gate opens, of {}", in_text.n), "0",
                              in_text.value(), in_text.yes == 0});
  result.targets.push_back({"seconds a fact", "<= 0.1", seconds, seconds <= 0.1});
  result.targets.push_back({"bytes a fact", "<= 8192", bytes, bytes <= 8192});
  result.targets.push_back({"ms to forget a fact", "< 10", forget_ms, forget_ms < 10});
  if (!options.plot.empty()) plot(options.plot, retained);
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::eval({argv + 1, argv + argc});
}
