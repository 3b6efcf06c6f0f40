// ./dev bench routes [--rounds N] [--json]
//
// When the first token comes by each route, beside chat: the same question, streamed, one request at a time, each round
// by all four routes in a seeded order. Once of a gateway before an upstream on loopback that answers at once (what is
// left is the gateway's own work), once of the local default model, whose prefix cache knows the prompt. Text
// completions get the prompt as the model's template writes it, so that all four are the same tokens. The response
// caches are off. A token has come when its bytes are read; nothing is parsed.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "lab/loopback_upstream.h"
#include "lab/measure.h"
#include "lab/server_process.h"
#include "net/http_client.h"

namespace pmt::bench {
using namespace lab;
namespace {

using nlohmann::json;

constexpr int kSeed = 32, kWarmUpRounds = 10, kAnswerTokens = 8, kSystemSentences = 12;
constexpr double kSlowerMax = 1.05;
const char* const kModel = "smollm2-135m-instruct";
const char* const kQuestion = "Where is Paris?";

struct Route {
  const char* target;
  const char* marker;  // what stands before a piece of text in its events
};
constexpr std::array<Route, 4> kRoutes{{{"/v1/chat/completions", R"("content":")"},
                                        {"/v1/messages", R"("type":"text_delta","text":")"},
                                        {"/v1/responses", R"("delta":")"},
                                        {"/v1/completions", R"("text":")"}}};

std::string system_text() {
  std::string out = "You answer travellers.";
  for (int i = 0; i < kSystemSentences; ++i)
    out += fmt::format(" Rule {}: say it in plain words, and never name a place that you don't know.", i + 1);
  return out;
}

json body_of(const Route& route, const std::string& model) {
  const std::string system = system_text(), target = route.target;
  const json question{{"role", "user"}, {"content", kQuestion}};
  json out{{"model", model}, {"stream", true}, {"temperature", 0}, {"max_tokens", kAnswerTokens}};
  if (target == "/v1/chat/completions") {
    out["messages"] = {{{"role", "system"}, {"content", system}}, question};
  } else if (target == "/v1/messages") {
    out["system"] = system;
    out["messages"] = json::array({question});
  } else if (target == "/v1/responses") {
    out.erase("max_tokens");
    out["max_output_tokens"] = kAnswerTokens;
    out["instructions"] = system;
    out["input"] = kQuestion;
  } else {
    out["prompt"] = fmt::format(
        "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n", system,
        kQuestion);
  }
  return out;
}

struct First {
  double ms = 0;
  char letter = 0;  // that the answer begins with
};

/// The first letter of the text, 0 while none has come. The role's chunk has an empty one.
char first_letter(std::string_view events, std::string_view marker) {
  for (std::size_t at = events.find(marker); at != std::string_view::npos; at = events.find(marker, at)) {
    at += marker.size();
    if (at < events.size() && events[at] != '"') return events[at];
  }
  return 0;
}

First ask(net::HttpClient& client, const Route& route, const std::string& body) {
  First out;
  std::string events;
  const Stopwatch watch;
  const auto answer = need(client.stream("POST", route.target, {{"content-type", "application/json"}}, body,
                                         [&](std::string_view bytes) {
                                           const double now_ms = watch.seconds() * 1e3;
                                           events += bytes;
                                           if (out.letter == 0) {
                                             out.letter = first_letter(events, route.marker);
                                             out.ms = now_ms;
                                           }
                                           return true;
                                         }));
  if (answer.status != 200 || out.letter == 0)
    fail(fmt::format("{} answered {}: {}{}", route.target, answer.status, answer.body, events));
  return out;
}

double counted(net::HttpClient& client, const std::string& name) {
  const std::string text = need(client.request("GET", "/metrics", {}, "")).body;
  const std::string sample = fmt::format("\npermutation_engine_{}_total{{model=\"{}\"}} ", name, kModel);
  const std::size_t at = text.find(sample);
  if (at == std::string::npos) fail("the server doesn't count " + name);
  return std::strtod(text.c_str() + at + sample.size(), nullptr);
}

/// First tokens in ms by each route, sorted.
std::array<std::vector<double>, kRoutes.size()> rounds(net::HttpClient& client, const std::string& model,
                                                       int count) {
  std::array<std::vector<double>, kRoutes.size()> out;
  std::array<std::string, kRoutes.size()> bodies;
  std::array<std::size_t, kRoutes.size()> order{};
  for (std::size_t i = 0; i < kRoutes.size(); ++i) {
    bodies[i] = body_of(kRoutes[i], model).dump();
    order[i] = i;
  }
  std::mt19937 random(kSeed);
  char letter = 0;
  for (int round = -kWarmUpRounds; round < count; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
      const First first = ask(client, kRoutes[i], bodies[i]);
      if (letter != 0 && first.letter != letter)
        fail(fmt::format("{} gave another answer", kRoutes[i].target));
      letter = first.letter;
      if (round >= 0) out[i].push_back(first.ms);
    }
  }
  for (auto& times : out) std::sort(times.begin(), times.end());
  return out;
}

void measure(const std::string& who, const std::string& url, const std::string& model, int count,
             Result& result) {
  progress(who);
  const auto client = need(net::HttpClient::connect(url, 60));
  const bool local = model == kModel;
  const double read = local ? counted(*client, "prompt_tokens") : 0,
               reused = local ? counted(*client, "prefix_tokens_reused") : 0;
  const auto times = rounds(*client, model, count);
  nlohmann::ordered_json share;  // of all prompts: null where no model is
  if (local)
    share = (counted(*client, "prefix_tokens_reused") - reused) / (counted(*client, "prompt_tokens") - read);
  const double chat_p50 = percentile(times[0], 0.5), chat_p95 = percentile(times[0], 0.95);
  for (std::size_t i = 0; i < kRoutes.size(); ++i) {
    const double p50 = percentile(times[i], 0.5), p95 = percentile(times[i], 0.95);
    nlohmann::ordered_json row = {{"who", who},
                                  {"route", kRoutes[i].target},
                                  {"requests", count},
                                  {"first_p50_ms", p50},
                                  {"first_p95_ms", p95},
                                  {"p50_of_chat", p50 / chat_p50},
                                  {"p95_of_chat", p95 / chat_p95},
                                  {"prefix_reused", share}};
    result.rows.push_back(std::move(row));
    if (i > 0)
      result.targets.push_back(
          {fmt::format("{}: first token by {}, p50 divided by chat's", who, kRoutes[i].target),
           fmt::format("<= {}", kSlowerMax), p50 / chat_p50, p50 / chat_p50 <= kSlowerMax});
  }
}

std::string write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

int bench(const char* argv0, std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const int count = std::stoi(take_value(args, "--rounds", "200"));
  if (!args.empty() || count < 1) {
    fmt::print(stderr, "usage: bench routes [--rounds N] [--json]\n");
    return 2;
  }
  const LoopbackUpstream upstream;         // the first: it forks
  spdlog::set_level(spdlog::level::warn);  // its lines would stand among the JSON
  std::string folder = (std::filesystem::temp_directory_path() / "pmt-routes-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) fail("no folder for its files: " + folder);
  const std::string binary =
      std::getenv("PERMUTATION_BIN") != nullptr
          ? std::getenv("PERMUTATION_BIN")
          : (std::filesystem::path(argv0).parent_path() / PMT_BINARY_FROM_HERE).string();
  const auto start = [&](const char* name, const std::string& config) {
    const std::string file = write_file(fmt::format("{}/{}.toml", folder, name), config);
    return need(ServerProcess::start(binary, {"--config", file}));
  };
  Result result{.name = "routes", .seed = kSeed, .rows = {}, .targets = {}};
  {
    const auto gateway =
        start("gateway", fmt::format("[cache]\nenabled = false\n[embeddings]\nenabled = false\n[[upstream]]\n"
                                     "name = \"up\"\nbase_url = \"{}/v1\"\nmodels = [\"fixed\"]\n",
                                     upstream.url()));
    measure("an upstream", gateway->url(), "up/fixed", count, result);
  }
  {
    const auto server =
        start("local", fmt::format("[[model]]\nname = \"{}\"\n[cache]\nenabled = false\n[knowledge]\npath = "
                                   "\"{}/knowledge\"\n",
                                   kModel, folder));
    measure(kModel, server->url(), kModel, count, result);
  }
  print(result, as_json);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench(argv[0], {argv + 1, argv + argc});
}
