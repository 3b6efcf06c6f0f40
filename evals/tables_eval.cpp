// ./dev eval tables [--model NAME|FILE] [--seed S] [--worlds N] [--limit N] [--verbose] [--json]: questions over records
// in five shapes (CSV, JSON lines, a log, Markdown, JSON; evals/tables_worlds.h), through the served door: a fresh
// `permutation serve` with the model, every question over HTTP of the model `rlm` with the records as its context.
//
// An answer is right when what stands before its bracket is the computed value (numbers within a ten-thousandth). Of
// questions that the records can't answer, an answer is right when it says so, and invented when it does not.
// Intervals are Wilson's at 95%. --worlds: so many of each shape, of seeds S, S + 1, ...
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "evals/tables_worlds.h"
#include "lab/measure.h"
#include "lab/server_process.h"
#include "net/http_client.h"
#include "text/plain_words.h"

namespace pmt::evals {
using namespace lab;
namespace {

using json = nlohmann::json;

struct Asked {
  std::string shape, kind, text;
  bool can_be_told = true, right = false, refused = false, by_program = false;
  double seconds = 0, prompt_tokens = 0, cached_tokens = 0, written_tokens = 0;
};

bool same_value(const std::string& said, const std::string& wanted) {
  char* end = nullptr;
  const double want = std::strtod(wanted.c_str(), &end);
  if (end != wanted.c_str() && *end == '\0') {
    std::string digits = said;
    std::erase(digits, ',');
    char* after = nullptr;
    const double got = std::strtod(digits.c_str(), &after);
    return after != digits.c_str() && *after == '\0' &&
           std::abs(got - want) <= 1e-4 * std::max(1., std::abs(want));
  }
  return text::plain_text(said) == text::plain_text(wanted);
}

bool is_refusal(const std::string& text) {
  return text.starts_with("Not in the table") ||
         text.find("no column or value is named") != std::string::npos;
}

Asked ask(net::HttpClient& client, const TableWorld& world, const TableItem& item) {
  const json body = {
      {"model", "rlm"},
      {"temperature", 0},
      {"messages", {{{"role", "user"}, {"content", item.question}}}},
      {"permutation",
       {{"cache", {{"mode", "off"}}}, {"rlm", {{"context", world.text}}}, {"budget", {{"seconds", 300}}}}}};
  const Stopwatch watch;
  const auto response = need(
      client.request("POST", "/v1/chat/completions", {{"content-type", "application/json"}}, body.dump()));
  Asked asked{
      .shape = world.shape, .kind = item.kind, .text = response.body, .can_be_told = !item.wanted.empty()};
  asked.seconds = watch.seconds();
  if (response.status != 200) return asked;
  const json answer = json::parse(response.body);
  asked.text = answer["choices"][0]["message"]["content"];
  const std::string head = asked.text.substr(0, asked.text.find(" ("));
  asked.refused = is_refusal(asked.text);
  asked.right =
      asked.can_be_told ? !asked.text.starts_with("Not in") && same_value(head, item.wanted) : asked.refused;
  const json& engine = answer["permutation"]["engine"];
  asked.by_program = engine["performance"]["total_calls"] == 0;
  asked.prompt_tokens = answer["usage"]["prompt_tokens"];
  asked.written_tokens = answer["usage"]["completion_tokens"];
  asked.cached_tokens = engine["kv_cache_compression"].value("prefix_tokens_reused", 0.);
  return asked;
}

/// One line of the table over the asked questions that `is` takes.
template <class Is>
void add_row(Result& result, const std::string& name, const std::vector<Asked>& all, Is&& is) {
  double n = 0, right = 0, refused = 0, program = 0, tokens = 0, cached = 0, written = 0;
  std::vector<double> seconds;
  for (const Asked& a : all) {
    if (!is(a)) continue;
    ++n;
    right += a.right ? 1 : 0;
    refused += a.refused ? 1 : 0;
    program += a.by_program ? 1 : 0;
    tokens += a.prompt_tokens, cached += a.cached_tokens, written += a.written_tokens;
    seconds.push_back(a.seconds);
  }
  if (n == 0) return;
  const auto [low, high] = wilson(right, n);
  std::ranges::sort(seconds);
  result.rows.push_back({{"questions", name},
                         {"n", n},
                         {"right", right},
                         {"share", std::round(1e3 * right / n) / 1e3},
                         {"ci95", fmt::format("{:.2f}-{:.2f}", low, high)},
                         {"said what isn't there", refused},
                         {"without a model", program},
                         {"prompt_tokens", std::round(tokens / n)},
                         {"of them from the prefix cache", std::round(cached / n)},
                         {"written_tokens", std::round(written / n)},
                         {"s_median", std::round(1e3 * median(seconds)) / 1e3}});
}

void summarise(Result& result, const std::vector<Asked>& all) {
  const auto told = [](const Asked& a) { return a.can_be_told; };
  add_row(result, "that the records can answer", all, told);
  add_row(result, "of them, answered by a query of the model", all,
          [&](const Asked& a) { return told(a) && !a.by_program; });
  add_row(result, "that they can't", all, [](const Asked& a) { return !a.can_be_told; });
  std::map<std::string, int> shapes, kinds;
  for (const Asked& a : all) ++shapes[a.shape], ++kinds[a.kind];
  for (const auto& [shape, n] : shapes)
    add_row(result, shape, all, [&](const Asked& a) { return told(a) && a.shape == shape; });
  for (const auto& [kind, n] : kinds)
    add_row(result, kind, all, [&](const Asked& a) { return a.kind == kind; });
}

int run(const std::string& self, std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json"), verbose = take_flag(args, "--verbose");
  const char* embedded = std::getenv("PERMUTATION_MODEL");
  const std::string model = take_value(args, "--model", embedded == nullptr ? "" : embedded);
  const auto limit = static_cast<std::size_t>(std::stoi(take_value(args, "--limit", "100000")));
  const int worlds = std::stoi(take_value(args, "--worlds", "1"));
  Result result;
  result.name = "eval tables";
  result.seed = std::stoi(take_value(args, "--seed", "1"));
  if (model.empty() || !args.empty()) {
    progress(
        "usage: ./dev eval tables [--model NAME|FILE] [--seed S] [--worlds N] [--limit N] [--verbose] [--json]");
    return 2;
  }
  const std::string binary =
      (std::filesystem::path(self).parent_path().parent_path() / "src" / "app" / "permutation").string();
  const auto server = need(ServerProcess::start(binary, {"--model", model}));
  const auto client = need(net::HttpClient::connect(server->url(), 600));
  std::vector<Asked> all;
  for (int w = 0; w < worlds; ++w) {
    for (const TableWorld& world : table_worlds(result.seed + w)) {
      for (std::size_t i = 0; i < std::min(limit, world.items.size()); ++i) {
        const TableItem& item = world.items[i];
        all.push_back(ask(*client, world, item));
        if (verbose || !all.back().right)
          progress(fmt::format("{}, {}: {} \"{}\" wanted {}, said \"{}\" ({:.1f} s)", world.shape, item.kind,
                               all.back().right ? "right:" : "WRONG:", item.question,
                               item.wanted.empty() ? "nothing" : item.wanted, all.back().text.substr(0, 300),
                               all.back().seconds));
      }
      progress(fmt::format("{}: {} asked", world.shape, all.size()));
    }
  }
  summarise(result, all);
  const auto invented = std::ranges::count_if(all, [](const Asked& a) { return !a.can_be_told && !a.right; });
  result.targets.push_back({.what = "answers where the records can't tell",
                            .asked = "0",
                            .measured = static_cast<double>(invented),
                            .holds = invented == 0});
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::run(argv[0], {argv + 1, argv + argc});
}
