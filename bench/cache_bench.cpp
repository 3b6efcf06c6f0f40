// ./dev bench cache: what a hit of the response cache costs. In process: gets a second on one core. Over
// HTTP: CPU time of the real server, in a process of its own, per answered request, with every answer checked
// to be the primed one. GET /health, which does nothing, shows the share of HTTP itself.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "measure.h"
#include "net/http_client.h"
#include "response_cache/response_cache.h"
#include "server_process.h"

namespace pmt::bench {
namespace {

constexpr int kSeed = 1;
constexpr int kEntries = 10'000;

nlohmann::ordered_json row(const std::string& what, double ops_per_s, double cpu_us) {
  return {
      {"what", what}, {"ops_per_s", ops_per_s}, {"cpu_us", cpu_us}, {"p50_us", nullptr}, {"p99_us", nullptr}};
}

response_cache::Value an_answer() {
  response_cache::RecordedAnswer answer;
  answer.events = {llm::Started{}, llm::Delta{.choice = 0, .text = std::string(400, 'x'), .logprobs = {}},
                   llm::ChoiceEnd{}, llm::Done{}};
  return {std::move(answer)};
}

/// Seconds for one get of an entry that is there, over all entries in an order without locality.
double get_hit_seconds() {
  const base::SystemClock clock;
  response_cache::ResponseCache cache({}, clock);
  std::vector<response_cache::Key> keys;
  for (int i = 0; i < kEntries; ++i) {
    keys.push_back(base::sha256(std::to_string(i)));
    need(cache.store(keys.back(), an_answer(), {.tokens = 100}));
  }
  std::shuffle(keys.begin(), keys.end(), std::mt19937(kSeed));
  std::vector<double> seconds;
  for (int repeat = 0; repeat < 7; ++repeat) {
    constexpr int kPasses = 100;
    const Stopwatch watch;
    for (int pass = 0; pass < kPasses; ++pass) {
      for (const auto& key : keys) {
        if (cache.get(key) == nullptr) fail("a stored entry was missed");
      }
    }
    seconds.push_back(watch.seconds() / kPasses / kEntries);
  }
  return median(seconds);
}

struct Call {
  std::string method, target, body;
  bool must_hit = false;  // the answer comes from the cache, or the measurement is void
};

struct HttpCost {
  double requests_per_s = 0;
  double cpu_us = 0;  // of the server, a request
  std::vector<double> latencies_us;
};

net::ClientResponse ask(net::HttpClient& client, const Call& call) {
  auto answer =
      need(client.request(call.method, call.target, {{"content-type", "application/json"}}, call.body));
  if (answer.status != 200) fail(fmt::format("{} answered {}: {}", call.target, answer.status, answer.body));
  return answer;
}

/// Asks `count` times on one kept connection; returns each request's time.
std::vector<double> ask_many(const std::string& url, const Call& call, int count) {
  const auto client = need(net::HttpClient::connect(url, 60));
  std::vector<double> latencies_us;
  for (int i = 0; i < count; ++i) {
    const Stopwatch watch;
    const auto answer = ask(*client, call);
    latencies_us.push_back(watch.seconds() * 1e6);
    if (call.must_hit && answer.header("x-permutation-cache") != "hit") fail("not a hit: " + answer.body);
  }
  return latencies_us;
}

HttpCost measure(const ServerProcess& server, const Call& call, int connections, int requests) {
  ask_many(server.url(), call, 500);
  HttpCost cost;
  std::vector<std::vector<double>> latencies(static_cast<std::size_t>(connections));
  const double cpu_before = server.cpu_seconds();
  const Stopwatch watch;
  std::vector<std::thread> clients;
  for (auto& mine : latencies) {
    clients.emplace_back([&] { mine = ask_many(server.url(), call, requests / connections); });
  }
  for (std::thread& client : clients) client.join();
  cost.requests_per_s = requests / watch.seconds();
  cost.cpu_us = (server.cpu_seconds() - cpu_before) * 1e6 / requests;
  for (const auto& mine : latencies)
    cost.latencies_us.insert(cost.latencies_us.end(), mine.begin(), mine.end());
  std::sort(cost.latencies_us.begin(), cost.latencies_us.end());
  return cost;
}

/// The name of the local model: the one that tells its context.
std::string local_model(const ServerProcess& server) {
  const auto client = need(net::HttpClient::connect(server.url(), 60));
  const auto kv = nlohmann::json::parse(ask(*client, {"GET", "/v1/kv", ""}).body);
  return kv.at("models").at(0).at("model");
}

/// The chat request whose answer is in the cache once this returns.
Call primed_call(const ServerProcess& server, const std::string& model, bool stream) {
  const auto client = need(net::HttpClient::connect(server.url(), 300));
  const nlohmann::json body = {
      {"model", model},   {"messages", {{{"role", "user"}, {"content", "What is the capital of France?"}}}},
      {"temperature", 0}, {"max_tokens", 16},
      {"stream", stream},
  };
  const Call call = {"POST", "/v1/chat/completions", body.dump(), true};
  ask(*client, call);
  return call;
}

std::string binary_path(const char* argv0) {
  if (const char* named = std::getenv("PERMUTATION_BIN")) return named;
  return (std::filesystem::path(argv0).parent_path() / PMT_BINARY_FROM_HERE).string();
}

int bench(const char* argv0, std::vector<std::string> args) {
  const bool json = take_flag(args, "--json");
  const char* model = std::getenv("PERMUTATION_MODEL");
  const std::string path = take_value(args, "--model", model != nullptr ? model : "");
  const int requests = std::stoi(take_value(args, "--requests", "20000"));
  if (path.empty() || !args.empty() || requests < 8) {
    fmt::print(stderr, "usage: bench cache --model GGUF [--requests N] [--json]\n");
    return 2;
  }
  Result result{.name = "cache", .seed = kSeed, .rows = {}, .targets = {}};
  progress("in process");
  const double get_s = get_hit_seconds();
  result.rows.push_back(row("get hit, in process", 1 / get_s, get_s * 1e6));
  result.targets.push_back({"get hits a second on one core", ">= 3e6", 1 / get_s, 1 / get_s >= 3e6});

  const auto server = need(ServerProcess::start(binary_path(argv0), {"--model", path}));
  const auto over_http = [&](const std::string& what, const Call& call, int connections) {
    progress(what);
    const HttpCost cost = measure(*server, call, connections, requests);
    const auto at = [&](double share) {
      return cost
          .latencies_us[static_cast<std::size_t>(share * static_cast<double>(cost.latencies_us.size() - 1))];
    };
    auto line = row(what, cost.requests_per_s, cost.cpu_us);
    line["p50_us"] = at(0.50);
    line["p99_us"] = at(0.99);
    result.rows.push_back(std::move(line));
    return cost.cpu_us;
  };
  over_http("GET /health, 1 connection", {"GET", "/health", ""}, 1);
  const std::string name = local_model(*server);
  const Call whole = primed_call(*server, name, false);
  const double hit_us = over_http("hit over HTTP, 1 connection", whole, 1);
  over_http("hit over HTTP, 8 connections", whole, 8);
  over_http("streamed hit over HTTP, 1 connection", primed_call(*server, name, true), 1);
  over_http("hit of the permutation engine, 1 connection", primed_call(*server, "permutation", false), 1);
  result.targets.push_back({"CPU us of a hit over HTTP", "<= 30", hit_us, hit_us <= 30});
  print(result, json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench(argv[0], {argv + 1, argv + argc});
}
