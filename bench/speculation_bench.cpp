// ./dev bench speculation [--rounds N] [--tokens N] [--draft GGUF] [--json]: tokens a second while an answer is
// written, with prompt lookup and without, on prompts whose answers repeat their text and on others; with --draft
// also with that model's drafts where the text has none. All ways must give the same answer; they take turns, so that
// a noisy machine slows all.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "inference/local_model.h"
#include "lab/measure.h"
#include "llm/sinks.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr const char* kReport =
    "The night shift at the Halden pumping station began at ten. At 22:40 the second pump lost pressure and "
    "the "
    "operator, Ingrid Vale, switched to the reserve line. The reserve line held until 01:15, when a valve on "
    "the east side began to leak. Two technicians closed the valve by hand and replaced its seal before "
    "three. By morning the second pump was running again, and the reserve line was drained and inspected. No "
    "water was lost in the town. The report recommends a new seal for every valve on the east side, a "
    "pressure gauge at the reserve line, and a second operator on every night shift until spring.";

constexpr const char* kCode =
    "class Inventory:\n    def __init__(self):\n        self.items = {}\n\n    def add_item(self, name, "
    "count):\n"
    "        if count < 0:\n            raise ValueError('count must not be negative')\n"
    "        self.items[name] = self.items.get(name, 0) + count\n\n    def remove_item(self, name, count):\n"
    "        if self.items.get(name, 0) < count:\n            raise ValueError('not enough items')\n"
    "        self.items[name] = self.items[name] - count\n\n    def total(self):\n"
    "        return sum(self.items.values())\n";

std::vector<std::pair<std::string, std::string>> prompts() {
  const std::string report = kReport;
  const std::string code = kCode;
  return {{"summarise", "Summarise this report.\n\n" + report},
          {"quote", "Repeat this report word for word.\n\n" + report},
          {"edit code", "Rename `count` to `amount` in this class and print the whole class.\n\n" + code},
          {"open question", "Tell me about the history of bicycles."},
          {"story", "Write a short story about a lighthouse and a storm."},
          {"explain", "Explain how rain forms."}};
}

struct Run {
  std::string text;
  double tokens_per_s = 0;
  llm::SpeculationReport speculation;
};

Run answer(inference::LocalModel& model, const std::string& prompt, llm::Speculation speculation,
           int tokens) {
  static int answers = 0;
  llm::Request request;
  request.id = fmt::format("answer-{}", ++answers);  // each has an account of its own for its drafts
  request.messages.push_back({"user", prompt, "", {}, ""});
  request.sampling.temperature = 0;
  request.max_tokens = tokens;
  request.speculation = speculation;
  const auto sink = std::make_shared<llm::CollectingSink>();
  model.start(std::move(request), sink, {});
  const auto events = sink->wait();
  const auto* done = std::get_if<llm::Done>(&events.back());
  if (done == nullptr) {
    progress("error: " + std::get<llm::Failed>(events.back()).error.message);
    std::exit(1);
  }
  // The first token belongs to the prompt's reading.
  const auto written = static_cast<double>(done->usage.completion_tokens - 1);
  return {llm::text_of(events), written / (done->report.timing->decode_ms / 1000), *done->report.speculation};
}

struct How {
  int rounds = 0, tokens = 0;
  bool by_model = false;  // too
};

/// Over all prompts.
struct Least {
  double copying = 1e9, elsewhere = 1e9, by_model = 1e9;  // ratios over no drafts
  bool all_same = true;
};

nlohmann::ordered_json row_of(inference::LocalModel& model, const std::string& kind,
                              const std::string& prompt, const How& how, Least& least) {
  std::vector<double> with, without, ratios, ratios_by_model;
  Run last, last_by_model;
  bool same = true;
  for (int round = 0; round < how.rounds; ++round) {
    const Run off = answer(model, prompt, llm::Speculation::kOff, how.tokens);
    last = answer(model, prompt, llm::Speculation::kPromptLookup, how.tokens);
    same = same && off.text == last.text;
    with.push_back(last.tokens_per_s);
    without.push_back(off.tokens_per_s);
    ratios.push_back(last.tokens_per_s / off.tokens_per_s);
    if (!how.by_model) continue;
    last_by_model = answer(model, prompt, llm::Speculation::kAuto, how.tokens);
    same = same && off.text == last_by_model.text;
    ratios_by_model.push_back(last_by_model.tokens_per_s / off.tokens_per_s);
  }
  const double ratio = median(ratios);
  double& least_of_kind =
      kind == "summarise" || kind == "quote" || kind == "edit code" ? least.copying : least.elsewhere;
  least_of_kind = std::min(least_of_kind, ratio);
  least.all_same = least.all_same && same;
  nlohmann::ordered_json row;
  row["prompt"] = kind;
  row["tokens_per_s"] = median(with);
  row["tokens_per_s_off"] = median(without);
  row["ratio"] = ratio;
  row["drafted"] = last.speculation.drafted;
  row["accepted"] = last.speculation.accepted;
  if (how.by_model) {
    const double by_model = median(ratios_by_model);
    least.by_model = std::min(least.by_model, by_model);
    row["ratio_with_model"] = by_model;
    row["drafted_by_model"] = last_by_model.speculation.drafted_by_model;
    row["accepted_by_model"] = last_by_model.speculation.accepted_by_model;
    progress(fmt::format("{}: {:.2f}x, with the second model {:.2f}x", kind, ratio, by_model));
  } else {
    progress(fmt::format("{}: {:.2f}x", kind, ratio));
  }
  row["identical"] = same;
  return row;
}

int run(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const int rounds = std::stoi(take_value(args, "--rounds", "5"));
  const int tokens = std::stoi(take_value(args, "--tokens", "160"));
  const std::string draft = take_value(args, "--draft", "");
  const char* path = std::getenv("PERMUTATION_MODEL");
  if (path == nullptr || !args.empty()) {
    progress("usage: ./dev bench speculation [--rounds N] [--tokens N] [--draft GGUF] [--json]");
    return 2;
  }
  const base::SystemClock clock;
  inference::LocalModelOptions options;
  options.name = "model";
  options.path = path;
  options.draft_path = draft;
  const auto model = inference::LocalModel::load(std::move(options), clock);
  if (!model) {
    progress("error: " + model.error().message);
    return 1;
  }
  Result result;
  result.name = "bench speculation";
  Least least;
  for (const auto& [kind, prompt] : prompts()) {
    result.rows.push_back(row_of(**model, kind, prompt, {rounds, tokens, !draft.empty()}, least));
  }
  result.targets = {
      {"summarising, quoting, code editing: the least", ">= 1.7x", least.copying, least.copying >= 1.7},
      {"elsewhere: the least", ">= 0.97x", least.elsewhere, least.elsewhere >= 0.97},
      {"answers identical", "all", least.all_same ? 1.0 : 0.0, least.all_same}};
  if (!draft.empty()) {
    result.targets.push_back({"with the second model, of without drafts: the least", ">= 0.97x",
                              least.by_model, least.by_model >= 0.97});
  }
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::run({argv + 1, argv + argc});
}
