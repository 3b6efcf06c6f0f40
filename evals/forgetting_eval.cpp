// ./dev eval forgetting [--data DIR] [--facts N] [--n N] [--seeds N] [--model NAME|PATH] [--plot FILE.svg]
//                        [--gates]
//                        --pairs: only what is answered beside what was taught (knowledge_pairs.h)
//                        --peers RECORD [--ask-only] [--seed FIRST]: beside finetuning, LoRA, sparse memory
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

#include "evals/forgetting_data.h"
#include "evals/forgetting_examination.h"
#include "evals/forgetting_peers.h"
#include "evals/forgetting_plot.h"
#include "evals/knowledge_pairs.h"
#include "lab/gate_times.h"
#include "lab/invented_facts.h"
#include "lab/measure.h"
#include "lab/subject.h"

namespace pmt::evals {
using namespace lab;
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
    merge(found_.ours, examine(subject_, world_, Method::kOurs, options_.asked));
    ask_real_facts();
    measure_times();
    if (!options_.gates_only) {
      const std::size_t fewer = std::max<std::size_t>(1, options_.asked / 3);
      progress("the gold fact in the prompt");
      merge(found_.rag_gold, examine(subject_, world_, Method::kRagGold, fewer));
      progress("the nearest fact in the prompt");
      merge(found_.rag, examine(subject_, world_, Method::kRag, fewer));
      merge(found_.base, examine(subject_, world_, Method::kBase, fewer));
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
      std::string lines = domain_lines(world_, d, kDomains);
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

  void measure_times() {
    const GateTimes times = time_gates(subject_, world_, random_(), 30);
    const auto add = [](std::vector<double>& to, const std::vector<double>& more) {
      to.insert(to.end(), more.begin(), more.end());
    };
    add(found_.swap_ms, times.swap);
    add(found_.lookup_ms, times.lookup);
    add(found_.open_ms, times.open);
    add(found_.closed_ms, times.closed);
    for (int i = 0; i < 3 && !options_.gates_only; ++i) {
      const Stopwatch reading;
      (void)subject_.ask({fmt::format("{} {}What would you do next?", i, idle_text())}, false, 1);
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
  add_target(result, ours, "kv 8 and speculation, trained", ">= 0.99", 0.99, true);
  add_target(result, ours, "kv 8 and speculation, near", ">= 0.97", 0.97, true);
  if (found.rag_gold["prose"].n > 0)  // a model ran
    add_target(result, ours, "kv 8: left uncompressed", "<= 0", 0, false);
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

/// A folder for packs, gone afterwards.
class PackFolder {
 public:
  PackFolder() { std::filesystem::remove_all(path_); }
  ~PackFolder() { std::filesystem::remove_all(path_); }
  PackFolder(const PackFolder&) = delete;
  PackFolder& operator=(const PackFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_ =
      (std::filesystem::temp_directory_path() / fmt::format("pmt-forgetting-{}", getpid())).string();
};

int compare(const Options& options, const PeerOptions& peers, bool as_json) {
  std::unique_ptr<PackFolder> folder;
  const auto comparison = compare_with_peers(
      [&] {
        folder.reset();
        folder = std::make_unique<PackFolder>();
        return Subject::load(options.model, folder->path(), false);
      },
      peers);
  if (!comparison) {
    progress("error: " + comparison.error().message);
    return 1;
  }
  if (!options.plot.empty() && !plot(options.plot, comparison->retention))
    progress("error: " + options.plot + " can't be written");
  print({.name = "forgetting", .seed = peers.first_seed, .rows = comparison->rows, .targets = {}}, as_json);
  return 0;
}

/// The pairs written before the rules were frozen, and those written after.
int ask_pairs(const Options& options, bool as_json) {
  constexpr std::size_t kEach = 25;  // of a pattern: 100 of each kind at least
  const PackFolder folder;
  const auto subject = Subject::load(options.model, folder.path(), true);
  if (subject == nullptr) return 1;
  Result result{.name = "forgetting-pairs", .seed = 28, .rows = {}, .targets = {}};
  for (const char* half : {"first", "second"}) {
    const auto shares = examine_pairs(*subject, fmt::format("knowledge_{}.txt", half), kEach);
    if (!shares) {
      fmt::print(stderr, "error: {}\n", shares.error().message);
      return 1;
    }
    for (const auto& [row, share] : *shares) {
      result.rows.push_back({{"half", half}, {"row", row}, {"n", share.n}, {"yes", share.yes}});
      const bool none = row.ends_with(": wrong");
      const double bound = none ? 0 : 0.9;
      result.targets.push_back({fmt::format("{} half, {} (of {})", half, row, share.n), none ? "0" : ">= 0.9",
                                share.value(), none ? share.yes == 0 : share.value() >= bound});
    }
  }
  print(result, as_json);
  return 0;
}

int eval(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  spdlog::set_level(spdlog::level::warn);  // its lines would stand among the JSON
  Options options;
  options.gates_only = take_flag(args, "--gates");
  const bool pairs = take_flag(args, "--pairs");
  options.data = take_value(args, "--data", "data");
  options.model = take_value(args, "--model", "");
  options.plot = take_value(args, "--plot", "");
  PeerOptions peers;
  peers.record = take_value(args, "--peers", "");
  peers.ask_only = take_flag(args, "--ask-only");
  peers.first_seed = std::stoi(take_value(args, "--seed", "1"));
  options.facts = std::stoul(take_value(args, "--facts", peers.record.empty() ? "1000" : "60"));
  options.asked = std::stoul(take_value(args, "--n", peers.record.empty() ? "50" : "20"));
  options.seeds = std::stoi(take_value(args, "--seeds", "3"));
  if (!args.empty() || options.facts < 30 || options.asked < 1 || options.seeds < 1) {
    fmt::print(
        stderr,
        "usage: eval forgetting [--data DIR] [--model M] [--facts N (30 at least)] [--n N] [--seeds N] "
        "[--gates | --pairs] [--plot FILE.svg] [--json]\n"
        "       eval forgetting --peers RECORD [--ask-only] [--seed FIRST] [--seeds N] [--facts N] [--n N] "
        "[--plot FILE.svg] [--json]\n");
    return 2;
  }
  if (pairs) return ask_pairs(options, as_json);
  if (!peers.record.empty()) {
    peers.data = options.data;
    peers.facts = options.facts;
    peers.asked = options.asked;
    peers.seeds = options.seeds;
    return compare(options, peers, as_json);
  }
  Findings found;
  for (int seed = 0; seed < options.seeds; ++seed) {
    const Stopwatch watch;
    const PackFolder folder;
    const auto subject = Subject::load(options.model, folder.path(), options.gates_only);
    if (subject == nullptr || !Round(options, seed, *subject, found).run()) return 1;
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
  if (!options.plot.empty() && !plot(options.plot, {{"knowledge cache", found.retained_after}}))
    progress("error: " + options.plot + " can't be written");
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::eval({argv + 1, argv + argc});
}
