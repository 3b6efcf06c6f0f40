// ./dev bench agent_cost [--data DIR] [--turns N] [--seed N] [--json]
//
// What 1,000 turns of agents cost at a provider that bills like the real ones (lab/billing_provider.h), for both kinds
// of prompt cache: without a gateway, through the real `permutation serve` with its help for that cache
// (prompt_cache_key, inject_cache_control), with its response cache as well, and the least that they could cost.
//
// With --data the turns are recorded ones: a sample of Mooncake's trace of tools and agents, or of another of its
// traces if that one is not there, in full length and at their times (lab/recorded_trace.h). The results name the
// file.
//
// Without, the turns are invented, by a seed: 40 runs of one coding agent side by side, each with the same system
// prompt of some 3,000 tokens and 12 tools, a task of its own, and 25 turns that add a call and its
// result of 50 to 2,000 tokens. A turn comes some 12 s after the one before; one in 16 waits for a person, for
// longer than the provider remembers. One turn in 20 is asked twice (a client that tries again), and one run in 20
// is another's from its beginning (a job that was started again).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "lab/billing_provider.h"
#include "lab/measure.h"
#include "lab/peer_process.h"
#include "lab/recorded_trace.h"
#include "net/http_client.h"

namespace pmt::bench {
using namespace lab;
namespace {

using nlohmann::json;

constexpr int kRuns = 40, kTurnsOfRun = 25, kTools = 12;
/// The gateway counts what it sends with one key by its own clock, so turns come to it in the order and at the distances
/// of the mix, this much faster, and it is told that a provider's minute is so much shorter.
constexpr double kSpeed = 60;

struct Turn {
  double at_s = 0;
  json body;
};

class Workload {
 public:
  explicit Workload(unsigned seed) : random_(seed) {}

  std::vector<Turn> turns(const std::string& model, int count) {
    const std::string system = words(3000);
    json tools = json::array();
    for (int i = 0; i < kTools; ++i)
      tools.push_back(
          {{"type", "function"},
           {"function",
            {{"name", fmt::format("tool_{}", i)},
             {"description", words(80)},
             {"parameters", {{"type", "object"}, {"properties", {{"path", {{"type", "string"}}}}}}}}}});
    std::vector<Turn> all;
    std::vector<Turn> before;
    for (int run = 0; run < kRuns; ++run) {
      const bool again = run % 20 == 19;
      double at_s = below(600);
      std::vector<Turn> of_run = again ? before : run_of(model, system, tools);
      for (Turn& turn : of_run) {
        at_s += gap_s();
        turn.at_s = at_s;
      }
      before = of_run;
      for (Turn& turn : of_run) {
        const bool twice = below(20) == 0;
        if (twice) all.push_back({.at_s = turn.at_s + 2, .body = turn.body});
        all.push_back(std::move(turn));
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const Turn& a, const Turn& b) { return a.at_s < b.at_s; });
    all.resize(std::min(all.size(), static_cast<std::size_t>(count)));
    for (Turn& turn : all) turn.body["metadata"]["at_s"] = fmt::format("{:.3f}", turn.at_s);
    return all;
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  double gap_s() {
    if (below(16) == 0) return static_cast<double>(330 + below(600));  // a person
    return 4 + static_cast<double>(below(17));
  }
  /// Text of so many tokens, as the provider counts them.
  std::string words(std::uint64_t tokens) {
    std::string text;
    while (text.size() < tokens * 4) text += fmt::format("w{:x} ", below(1 << 20));
    return text;
  }
  std::vector<Turn> run_of(const std::string& model, const std::string& system, const json& tools) {
    std::vector<Turn> out;
    json messages = {{{"role", "system"}, {"content", system}},
                     {{"role", "user"}, {"content", words(300 + below(600))}}};
    for (int i = 0; i < kTurnsOfRun; ++i) {
      const std::uint64_t answer_tokens = 40 + below(160);
      out.push_back({.at_s = 0,
                     .body = {{"model", model},
                              {"temperature", 0},
                              {"tools", tools},
                              {"messages", messages},
                              {"metadata", {{"answer_tokens", std::to_string(answer_tokens)}}}}});
      const std::string id = fmt::format("call_{}", i);
      const json call = {{"id", id},
                         {"type", "function"},
                         {"function",
                          {{"name", fmt::format("tool_{}", below(kTools))},
                           {"arguments", json{{"path", words(20)}}.dump()}}}};
      messages.push_back(
          {{"role", "assistant"}, {"content", words(answer_tokens)}, {"tool_calls", json::array({call})}});
      messages.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", words(50 + below(1950))}});
    }
    return out;
  }

  std::mt19937_64 random_;
};

/// Of so many tokens, as the provider counts them.
std::string text_of_block(std::uint64_t hash, std::int64_t tokens) {
  constexpr std::size_t kTokenBytes = 4;
  std::mt19937_64 random(hash);
  std::string text;
  const std::size_t bytes = static_cast<std::size_t>(tokens) * kTokenBytes;
  while (text.size() < bytes) text += fmt::format("w{:x} ", random() % (1U << 20U));
  text.resize(bytes);
  return text;
}

std::vector<Turn> recorded_turns(const std::vector<RecordedRequest>& requests, const std::string& model) {
  const RecordedPrompts prompts(requests, {.text = text_of_block});
  std::vector<Turn> out;
  for (const RecordedRequest& request : requests) {
    out.push_back({.at_s = request.at_s,
                   .body = {{"model", model},
                            {"temperature", 0},
                            {"messages", prompts.messages(request)},
                            {"metadata",
                             {{"answer_tokens", std::to_string(request.answer_tokens)},
                              {"at_s", fmt::format("{:.3f}", request.at_s)}}}}});
  }
  return out;
}

/// What is sent, for either provider's model.
struct Mix {
  std::string name;
  std::function<std::vector<Turn>(const std::string& model)> turns;
};

/// `data`: "" for the invented turns.
Mix mix_of(const std::string& data, int turns, int seed) {
  if (data.empty()) {
    return {.name = "seeded", .turns = [turns, seed](const std::string& model) {
              return Workload(static_cast<unsigned>(seed)).turns(model, turns);
            }};
  }
  const RecordedTrace trace = need(read_recorded(data, {"toolagent", "conversation", "synthetic"}));
  return {.name = trace.file,
          .turns = [requests = sample_recorded(trace.requests, {.requests = static_cast<std::size_t>(turns),
                                                                .seed = static_cast<unsigned>(seed)})](
                       const std::string& model) { return recorded_turns(requests, model); }};
}

struct Kind {
  const char* model;  // the provider's
  const char* help;   // of [[upstream]]
  bool timed;         // its help depends on when turns come
  ProviderPrices prices;
};

struct Setup {
  std::string binary;
  std::filesystem::path folder;
};

std::string config_of(const Kind& kind, const BillingProvider& provider, int port) {
  return fmt::format(
      "[server]\nport = {}\n\n[[upstream]]\nname = \"up\"\nbase_url = \"{}\"\nmodels = [\"{}\"]\n{} = true\n"
      "prompt_cache_key_seconds = {}\n\n[prices.\"up/{}\"]\ninput_per_mtok = {}\ncached_input_per_mtok = {}\ncache_write_per_mtok = {}\n"
      "output_per_mtok = {}\n",
      port, provider.url(), kind.model, kind.help, 60 / kSpeed, kind.model, kind.prices.input,
      kind.prices.cached, kind.prices.write, kind.prices.output);
}

/// `speed`: how much faster than they came; 0: one after the other.
void send_all(const std::vector<Turn>& turns, const std::string& url, const std::string& target,
              double speed = 0) {
  auto client = need(net::HttpClient::connect(url, 60));
  const Stopwatch watch;
  for (const Turn& turn : turns) {
    const double wait_s = speed == 0 ? 0 : (turn.at_s - turns.front().at_s) / speed - watch.seconds();
    if (wait_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(wait_s));
    const auto answer =
        need(client->request("POST", target, {{"content-type", "application/json"}}, turn.body.dump()));
    if (answer.status != 200) fail(fmt::format("a turn was answered {}: {}", answer.status, answer.body));
  }
}

class Bench {
 public:
  Bench(Result& result, const Setup& setup, Mix mix) : result_(result), setup_(setup), mix_(std::move(mix)) {}

  void measure(const Kind& kind) {
    const std::vector<Turn> turns = mix_.turns(kind.model);
    BestBill best(kind.prices);
    for (const Turn& turn : turns) best.add(turn.body);
    provider_.reset();
    progress(fmt::format("{}: {} turns, no gateway", kind.model, turns.size()));
    send_all(turns, provider_.url(), "/chat/completions");
    const Billed without = provider_.billed();
    const Billed helped = through(kind, turns, false), cached = through(kind, turns, true);
    const std::pair<const char*, Billed> ways[] = {{"no gateway", without},
                                                   {"help for the provider's cache", helped},
                                                   {"and the response cache", cached},
                                                   {"at best", best.billed()}};
    for (const auto& [way, bill] : ways) row(kind, way, bill, turns.size(), without.usd);
    target(fmt::format("{}: dollars with the gateway, of those without", kind.model), "< 1",
           cached.usd / without.usd, cached.usd < without.usd);
    // The rest is mostly what the provider forgets while a person is waited for.
    target(fmt::format("{}: the way from none to best that is gone", kind.model), ">= 0.5",
           (without.usd - cached.usd) / (without.usd - best.billed().usd),
           without.usd - cached.usd >= 0.5 * (without.usd - best.billed().usd));
  }

 private:
  Billed through(const Kind& kind, std::vector<Turn> turns, bool response_cache) {
    for (Turn& turn : turns) {
      turn.body["model"] = std::string("up/") + kind.model;
      if (!response_cache) turn.body["permutation"]["cache"]["mode"] = "off";
    }
    provider_.reset();
    const int port = free_port();
    const std::string url = fmt::format("http://127.0.0.1:{}", port);
    const auto config = setup_.folder / "gateway.toml";
    std::ofstream(config) << config_of(kind, provider_, port);
    const auto gateway =
        need(PeerProcess::start({setup_.binary, "serve", "--config", config.string()}, url, "/health", 60));
    progress(fmt::format("{}: {} turns, gateway{}", kind.model, turns.size(),
                         response_cache ? " with its response cache" : ""));
    send_all(turns, url, "/v1/chat/completions", kind.timed ? kSpeed : 0);
    const Billed bill = provider_.billed();
    const auto counted = need(need(net::HttpClient::connect(url, 60))->request("GET", "/v1/cache", {}, ""));
    const auto body = need(base::parse_json(counted.body));
    const double usd = base::number_at(base::at(body, "provider"), "usd").value_or(-1);
    const double off = std::abs(usd - bill.usd) / bill.usd;
    target(fmt::format("{}: the gateway's own account, off the provider's bill", kind.model), "<= 1e-9", off,
           off <= 1e-9);
    return bill;
  }

  void row(const Kind& kind, const char* way, const Billed& bill, std::size_t turns, double without_usd) {
    const auto share = [&bill](std::int64_t tokens) {
      return static_cast<double>(tokens) / static_cast<double>(bill.prompt);
    };
    nlohmann::ordered_json row = {{"mix", mix_.name},
                                  {"provider", kind.model},
                                  {"way", way},
                                  {"turns", turns},
                                  {"billed", bill.requests},
                                  {"prompt_tokens", bill.prompt},
                                  {"read", share(bill.read)},
                                  {"written", share(bill.written)},
                                  {"usd", bill.usd},
                                  {"of_none", bill.usd / without_usd}};
    result_.rows.push_back(std::move(row));
  }
  void target(std::string what, std::string asked, double measured, bool holds) {
    result_.targets.push_back({std::move(what), std::move(asked), measured, holds});
  }

  Result& result_;
  const Setup& setup_;
  const Mix mix_;
  BillingProvider provider_;
};

int bench(const char* argv0, std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const int turns = std::stoi(take_value(args, "--turns", "1000"));
  const int seed = std::stoi(take_value(args, "--seed", "32"));
  const std::string data = take_value(args, "--data", "");
  if (!args.empty() || turns < 1) {
    fmt::print(stderr, "usage: bench agent_cost [--data DIR] [--turns N] [--seed N] [--json]\n");
    return 2;
  }
  Mix mix = mix_of(data, turns, seed);
  std::string folder = (std::filesystem::temp_directory_path() / "pmt-agent-cost-XXXXXX").string();
  const Setup setup{
      .binary = std::getenv("PERMUTATION_BIN") != nullptr
                    ? std::getenv("PERMUTATION_BIN")
                    : (std::filesystem::path(argv0).parent_path() / PMT_BINARY_FROM_HERE).string(),
      .folder = mkdtemp(folder.data())};
  Result result{.name = "agent_cost", .seed = seed, .rows = {}, .targets = {}};
  Bench measured(result, setup, std::move(mix));
  for (const Kind& kind : {Kind{"automatic", "prompt_cache_key", true, kAutomaticPrices},
                           Kind{"marked", "inject_cache_control", false, kMarkedPrices}})
    measured.measure(kind);
  print(result, as_json);
  std::error_code ignored;
  std::filesystem::remove_all(setup.folder, ignored);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench(argv[0], {argv + 1, argv + argc});
}
