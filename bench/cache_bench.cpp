// ./dev bench cache: what a hit of the response cache costs. In process: gets a second on one thread and on
// two, of few and of many entries. The semantic tier: one embedding, and a lookup past it. Over HTTP: CPU
// time of the real server, in a process of its own, per answered request, with every answer checked to be the
// primed one. GET /health, which does nothing, shows the share of HTTP itself.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "bench/semantic_lookup.h"
#include "lab/measure.h"
#include "lab/server_process.h"
#include "net/http_client.h"
#include "response_cache/response_cache.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kSeed = 1;

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

/// A cache of `count` entries, and their keys.
struct Filled {
  explicit Filled(int count) : cache({.bytes_max = 1ULL << 30}, clock) {
    for (int i = 0; i < count; ++i) {
      keys.push_back(base::sha256(std::to_string(i)));
      need(cache.store(keys.back(), an_answer(), {.tokens = 100}));
    }
  }
  base::SystemClock clock;
  response_cache::ResponseCache cache;
  std::vector<response_cache::Key> keys;
};

/// Gets a second of entries that are there, over all threads together. One thread beside the main one too:
/// the C++ library leaves atomics out of a process with one thread, which no server is.
double hits_per_s(Filled& filled, int threads) {
  constexpr int kHits = 2'000'000;  // a thread
  // An order for each: two threads in the same order run into one another and stay together.
  std::vector<std::vector<response_cache::Key>> orders;
  for (int t = 0; t < threads; ++t) {
    orders.push_back(filled.keys);
    std::shuffle(orders.back().begin(), orders.back().end(), std::mt19937(static_cast<unsigned>(kSeed + t)));
  }
  std::vector<double> rates;
  for (int repeat = 0; repeat < 7; ++repeat) {
    std::vector<std::thread> all;
    std::atomic<bool> missed{false};
    const Stopwatch watch;
    for (std::vector<response_cache::Key>& keys : orders) {
      all.emplace_back([&] {
        bool all_there = true;
        std::size_t at = 0;
        for (int i = 0; i < kHits; ++i) {
          all_there &= filled.cache.get(keys[at]) != nullptr;
          at = at + 1 < keys.size() ? at + 1 : 0;
        }
        if (!all_there) missed = true;
      });
    }
    for (std::thread& thread : all) thread.join();
    rates.push_back(threads * kHits / watch.seconds());
    if (missed) fail("a stored entry was missed");
  }
  return median(rates);
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

/// Of sorted times.
nlohmann::ordered_json row_of(const std::string& what, const std::vector<double>& us) {
  const double mean = std::accumulate(us.begin(), us.end(), 0.0) / static_cast<double>(us.size());
  auto line = row(what, 1e6 / mean, mean);
  line["p50_us"] = percentile(us, 0.50);
  line["p99_us"] = percentile(us, 0.99);
  return line;
}

void add_in_process(Result& result) {
  for (const int entries : {1'000, 100'000}) {
    Filled filled(entries);
    const double one = hits_per_s(filled, 1), two = hits_per_s(filled, 2);
    const std::string what = fmt::format("get hit in process, {} entries", entries);
    progress(fmt::format("{}: {:.1f}M/s, on two threads {:.1f}M/s", what, one / 1e6, two / 1e6));
    result.rows.push_back(row(what + ", 1 thread", one, 1e6 / one));
    result.rows.push_back(row(what + ", 2 threads", two, 2e6 / two));
    result.targets.push_back({what + ", a second on one core", ">= 5e6", one, one >= 5e6});
    result.targets.push_back({what + ", 2 threads over 1", ">= 1.7", two / one, two / one >= 1.7});
  }
}

void add_semantic(Result& result, const std::string& embedder) {
  constexpr std::size_t kQuestions = 100'000;
  progress("semantic lookups, 100000 questions in one scope");
  const SemanticCost cost = semantic_cost(embedder, kQuestions, an_answer(), kSeed);
  if (cost.found < 0.95) fail(fmt::format("only {} of the rewordings found their question", cost.found));
  result.rows.push_back(row_of("one question embedded (MiniLM)", cost.embed_us));
  result.rows.push_back(
      row_of(fmt::format("semantic lookup past the embedding, 100000 questions, a rewording (cosine {:.2f})",
                         cost.nearest_hit),
             cost.hit_us));
  result.rows.push_back(
      row_of(fmt::format("semantic lookup past the embedding, 100000 questions, another (cosine {:.2f})",
                         cost.nearest_miss),
             cost.miss_us));
  const double p99 = std::max(percentile(cost.hit_us, 0.99), percentile(cost.miss_us, 0.99));
  result.targets.push_back(
      {"us of a semantic lookup over 100000, 99th percentile", "<= 1000", p99, p99 <= 1000});
}

int bench(const char* argv0, std::vector<std::string> args) {
  const bool json = take_flag(args, "--json");
  const char* model = std::getenv("PERMUTATION_MODEL");
  const std::string path = take_value(args, "--model", model != nullptr ? model : "");
  const char* named = std::getenv("PERMUTATION_EMBEDDER");
  const std::string embedder = take_value(args, "--embedder", named != nullptr ? named : "");
  const int requests = std::stoi(take_value(args, "--requests", "20000"));
  if (path.empty() || !args.empty() || requests < 8) {
    fmt::print(stderr, "usage: bench cache --model GGUF [--embedder GGUF] [--requests N] [--json]\n");
    return 2;
  }
  Result result{.name = "cache", .seed = kSeed, .rows = {}, .targets = {}};
  add_in_process(result);
  if (!embedder.empty()) add_semantic(result, embedder);

  const auto server = need(ServerProcess::start(binary_path(argv0), {"--model", path}));
  const auto over_http = [&](const std::string& what, const Call& call, int connections) {
    progress(what);
    const HttpCost cost = measure(*server, call, connections, requests);
    auto line = row(what, cost.requests_per_s, cost.cpu_us);
    line["p50_us"] = percentile(cost.latencies_us, 0.50);
    line["p99_us"] = percentile(cost.latencies_us, 0.99);
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
