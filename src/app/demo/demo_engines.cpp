// The demo's step with everything at once: each engine answers out of a pack, with compressed keys and
// values, and the second time out of the response cache.
#include <fmt/format.h>

#include "app/commands/server_call.h"
#include "app/demo/demo_client.h"
#include "app/demo/demo_document.h"
#include "app/demo/demo_knowledge.h"
#include "app/demo/demo_steps.h"
#include "permutation/engine.h"
#include "pipeline/pipeline.h"
#include "rlm/engine.h"

namespace pmt::app {

namespace {

using nlohmann::json;

constexpr char kDomain[] = "engines";
constexpr char kFacts[] = R"({"facts": [
  {"id": "line", "prompt": "What is the support line of Zorvane Labs?", "answer": "extension 4417"}]})";
constexpr char kQuestion[] = "What is the support line of Zorvane Labs?";
constexpr char kAnswer[] = "extension 4417";
constexpr int kRecords = 30;  // some 800 tokens
constexpr std::uint32_t kSeed = 33;

json request_for(const char* engine, const std::string& context, const std::string& question) {
  json options = {{"knowledge", {kDomain}}, {"kv", {{"ratio", 8}, {"mode", "query_aware"}}}};
  const bool is_rlm = std::string(engine) == rlm::kModelName;
  if (is_rlm) options["rlm"] = {{"context", context}};
  return {{"model", engine},
          {"temperature", 0},
          {"max_tokens", 16},
          {"messages", {{{"role", "user"}, {"content", is_rlm ? question : context + "\n" + question}}}},
          {"permutation", options}};
}

/// Sentences that nearly say what is asked, each as long as a small model is shown of one: there is something
/// to read then, and to compress.
std::string long_sentences() {
  std::mt19937 random(kSeed);
  std::string text = "What the river depots took in.\n\n";
  for (int week = 1; week <= kRecords; ++week) {
    text += fmt::format(
        "In week {} the depot at Aldmoor, whose gates had been painted again after the flood, received {} wool bales from "
        "the upper farms and {} sacks of barley from the carrier of the lower road, all of which were weighed twice, "
        "counted by two clerks and entered by hand before the river boats could leave for the coast.\n\n",
        week, 10 + random() % 90, 10 + random() % 90);
  }
  return text;
}

/// What one engine's answers said that they used.
struct Used {
  std::string text, second;  // the first answer; how the second was served
  std::size_t facts = 0;
  double ratio = 0;    // of the keys and values
  bool exact = false;  // it says that it read as it is what it was to quote
};

double ratio_of(const DemoAnswer& answer) {
  const auto achieved = json::json_pointer("/permutation/kv/ratio_achieved");
  return answer.body.contains(achieved) ? answer.body.at(achieved).get<double>() : 0;
}

base::Result<Used> ask(DemoClient& client, const char* engine, const DemoDocument& document) {
  TRY_ASSIGN(const DemoAnswer first, client.send(request_for(engine, document.text, kQuestion)));
  TRY_ASSIGN(const DemoAnswer again, client.send(request_for(engine, document.text, kQuestion)));
  Used used{.text = first.text, .second = again.cache, .ratio = ratio_of(first)};
  const auto facts = json::json_pointer("/permutation/knowledge/facts");
  if (first.body.contains(facts)) used.facts = first.body.at(facts).size();
  if (std::string(engine) == rlm::kModelName) {
    // Its search leaves little to read, and so little to compress: here it leaves more.
    TRY_ASSIGN(const DemoAnswer longer,
               client.send(request_for(
                   engine, long_sentences(),
                   "Who painted the gates of the depot at Aldmoor before the wool was weighed?")));
    used.ratio = ratio_of(longer);
    used.exact =
        longer.body.contains(json::json_pointer("/permutation/engine/kv_cache_compression/calls_exact"));
  }
  return used;
}

base::Status run(const DemoServer& server, DemoStep& step) {
  TRY(demo_teach(server, {.domain = kDomain, .body = kFacts}));
  TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
  DemoDocument document = demo_document(kSeed, kRecords);
  document.text += "The support line of Zorvane Labs was changed last year.\n";
  step.lines.push_back(fmt::format("{:<12} {:<28} {:>11}  {:>12}  {}", "engine", "answer", "facts fired",
                                   "KV ratio", "the same again"));
  step.figures = json::array();
  for (const char* engine : {permutation::kModelName, rlm::kModelName, pipeline::kModelName}) {
    TRY_ASSIGN(const Used used, ask(client, engine, document));
    step.lines.push_back(fmt::format(
        "{:<12} {:<28} {:>11}  {:>12}  {}", engine, '"' + used.text.substr(0, 24) + '"', used.facts,
        used.exact ? "exact: quotes" : fmt::format("{:.1f}x", used.ratio), used.second));
    step.figures.push_back({{"engine", engine},
                            {"text", used.text},
                            {"facts", used.facts},
                            {"kv_ratio", used.ratio},
                            {"again", used.second}});
    if (used.text.find(kAnswer) == std::string::npos || used.facts == 0)
      step.broken = fmt::format("{} did not use the knowledge cache", engine);
    if (used.ratio <= 1.01 && !used.exact) step.broken = fmt::format("{} did not compress", engine);
    if (used.second != "hit") step.broken = fmt::format("{} did not hit the response cache", engine);
  }
  TRY(server_call({.url = server.url}, "DELETE", fmt::format("/v1/knowledge/{}", kDomain)));
  return {};
}

}  // namespace

DemoStep demo_engines(const DemoServer& server) {
  DemoStep step{.title = "the three engines, each with all three caches"};
  try {
    if (const auto done = run(server, step); !done) step.broken = done.error().message;
  } catch (const json::exception& error) {
    step.broken = fmt::format("an answer of the wrong shape: {}", error.what());
  }
  return step;
}

}  // namespace pmt::app
