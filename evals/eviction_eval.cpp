// ./dev eval eviction [--data DIR]: what each eviction policy saves, on seeded workloads and real traces.
//
// The policies are the product's own objects, one shard, driven by requests for keys with a size and a price.
// Beside them the offline bound (PFOO-L, D. Berger and others, 2018): a cache of C bytes over N requests has
// C x N byte-requests to spend; every reuse of a key is a job that earns its price for size x distance of
// them; the best that the densest jobs can earn in that room is more than any policy can, one that knows the
// future included.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/measure.h"
#include "response_cache/store/eviction_policy.h"

namespace pmt::evals {
using namespace lab;
namespace {

using response_cache::Evictable;
using response_cache::Eviction;

constexpr std::uint32_t kSeed = 20251124;

struct Thing {
  std::size_t bytes = 1;
  double usd = 0;
};

struct Trace {
  std::string name;
  std::vector<std::uint32_t> requests;  // indices into things
  std::vector<Thing> things;

  double footprint() const {
    return std::accumulate(things.begin(), things.end(), 0.0,
                           [](double sum, const Thing& t) { return sum + static_cast<double>(t.bytes); });
  }
  double cost() const {
    double sum = 0;
    for (const auto r : requests) sum += things[r].usd;
    return sum;
  }
};

/// Answers of a few hundred tokens by models of three price classes, with prompts of any length.
Thing some_answer(std::mt19937& random) {
  std::lognormal_distribution<double> answer_tokens(std::log(250.0), 0.9),
      prompt_tokens(std::log(600.0), 1.3);
  constexpr double kInput[] = {0.15, 2.5, 15}, kOutput[] = {0.6, 10, 75};  // $ a million tokens
  std::discrete_distribution<int> tier({0.6, 0.3, 0.1});
  const int t = tier(random);
  const double answer = answer_tokens(random), prompt = std::min(prompt_tokens(random), 100'000.0);
  return {.bytes = 700 + static_cast<std::size_t>(answer * 4.5),
          .usd = (prompt * kInput[t] + answer * kOutput[t]) / 1e6};
}

/// Popularity by Zipf's law; with `drift`, who is popular changes all the time.
Trace zipf(const std::string& name, double exponent, bool drift) {
  constexpr std::uint32_t kThings = 200'000;
  constexpr int kRequests = 1'500'000;
  std::mt19937 random(kSeed);
  Trace trace{.name = name, .requests = {}, .things = {}};
  for (std::uint32_t i = 0; i < kThings; ++i) trace.things.push_back(some_answer(random));
  std::vector<double> sums(kThings);
  double sum = 0;
  for (std::uint32_t i = 0; i < kThings; ++i) sums[i] = sum += std::pow(i + 1.0, -exponent);
  std::vector<std::uint32_t> of_rank(kThings);
  std::iota(of_rank.begin(), of_rank.end(), 0U);
  std::shuffle(of_rank.begin(), of_rank.end(), random);
  std::uniform_real_distribution<double> uniform(0, sum);
  for (int r = 0; r < kRequests; ++r) {
    // Every 50 requests a thing from anywhere becomes as popular as one of the first thousand.
    if (drift && r % 50 == 0) std::swap(of_rank[random() % 1000], of_rank[random() % kThings]);
    const auto rank = std::lower_bound(sums.begin(), sums.end(), uniform(random)) - sums.begin();
    trace.requests.push_back(of_rank[static_cast<std::size_t>(std::min<std::ptrdiff_t>(rank, kThings - 1))]);
  }
  return trace;
}

/// Indices in order of first appearance.
class Numbering {
 public:
  std::uint32_t of(std::uint64_t id) {
    return numbers_.try_emplace(id, static_cast<std::uint32_t>(numbers_.size())).first->second;
  }
  std::size_t size() const { return numbers_.size(); }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
};

/// Mooncake: 512-token blocks of prompts, all of one size and price, so dollars are hits.
bool read_mooncake(const std::string& path, Trace& trace) {
  std::ifstream in(path);
  Numbering numbering;
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_discarded() || !json.contains("hash_ids")) return false;
    for (const std::uint64_t id : json["hash_ids"]) trace.requests.push_back(numbering.of(id));
  }
  trace.things.assign(numbering.size(), {.bytes = 11'796'480, .usd = 512 * 0.15 / 1e6});
  return !trace.requests.empty();
}

/// cache2k's traces: little-endian 32-bit ids. They carry no sizes and prices: those are drawn, by seed.
bool read_cache2k(const std::string& path, Trace& trace) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("xz -dc '" + path + "'").c_str(), "r"), pclose);
  if (!pipe) return false;
  Numbering numbering;
  std::uint8_t id[4];
  while (std::fread(id, 1, 4, pipe.get()) == 4)
    trace.requests.push_back(numbering.of(id[0] | id[1] << 8U | id[2] << 16U | std::uint64_t{id[3]} << 24U));
  std::mt19937 random(kSeed);
  for (std::size_t i = 0; i < numbering.size(); ++i) trace.things.push_back(some_answer(random));
  return !trace.requests.empty();
}

struct Saved {
  double hit_rate = 0;
  double dollar_rate = 0;
  double ns_per_request = 0;
};

Saved replay(const Trace& trace, double capacity, Eviction kind) {
  const auto policy = make_policy(kind);
  std::deque<Evictable> entries(trace.things.size());
  std::vector<bool> held(trace.things.size());
  double used = 0, usd = 0;
  std::size_t hits = 0;
  const Stopwatch watch;
  for (const auto r : trace.requests) {
    Evictable& entry = entries[r];
    const Thing& thing = trace.things[r];
    if (held[r]) {
      ++hits;
      usd += thing.usd;
      policy->touch(entry);
      continue;
    }
    if (static_cast<double>(thing.bytes) > capacity) continue;
    used += static_cast<double>(thing.bytes);
    while (used > capacity) {
      Evictable* const victim = policy->pick(nullptr);
      policy->remove(*victim);
      used -= static_cast<double>(victim->bytes);
      held[static_cast<std::size_t>(victim->id())] = false;
    }
    entry = Evictable{};
    entry.set_id(r);
    entry.bytes = thing.bytes;
    entry.worth = static_cast<float>(thing.usd);
    policy->add(entry);
    held[r] = true;
  }
  const auto count = static_cast<double>(trace.requests.size());
  return {static_cast<double>(hits) / count, usd / trace.cost(), watch.seconds() * 1e9 / count};
}

/// Of all dollars, what no policy can save more than.
double offline_bound(const Trace& trace, double capacity) {
  struct Job {
    double usd, room;
  };
  std::vector<Job> jobs;
  std::vector<std::int64_t> last(trace.things.size(), -1);
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    const auto r = trace.requests[i];
    const auto now = static_cast<std::int64_t>(i);
    if (last[r] >= 0 && static_cast<double>(trace.things[r].bytes) <= capacity)
      jobs.push_back({trace.things[r].usd,
                      static_cast<double>(trace.things[r].bytes) * static_cast<double>(now - last[r])});
    last[r] = now;
  }
  std::sort(jobs.begin(), jobs.end(),
            [](const Job& a, const Job& b) { return a.usd * b.room > b.usd * a.room; });
  double room = capacity * static_cast<double>(trace.requests.size()), usd = 0;
  for (const Job& job : jobs) {
    if (job.room > room) {
      usd += job.usd * room / job.room;
      break;
    }
    room -= job.room;
    usd += job.usd;
  }
  return usd / trace.cost();
}

int eval(std::vector<std::string> args) {
  const bool json = take_flag(args, "--json");
  const std::string data = take_value(args, "--data", "data");
  if (!args.empty()) {
    fmt::print(stderr, "usage: eval eviction [--data DIR] [--json]\n");
    return 2;
  }
  std::vector<Trace> traces;
  traces.push_back(zipf("zipf 0.9", 0.9, false));
  traces.push_back(zipf("zipf 0.9, drifting", 0.9, true));
  const std::filesystem::path root(data);
  const auto add = [&](const char* name, const char* file, bool (*read)(const std::string&, Trace&)) {
    const std::string path = (root / file).string();
    Trace trace{.name = name, .requests = {}, .things = {}};
    if (std::filesystem::exists(path) && read(path, trace)) return traces.push_back(std::move(trace));
    progress(
        fmt::format("{} is left out: {} can't be read. --data DIR names the folder with Mooncake's traces "
                    "(kvcache-ai/Mooncake) and Caffeine's (ben-manes/caffeine, read with xz)",
                    name, path));
  };
  add("mooncake synthetic", "mooncake_traces/synthetic_trace.jsonl", read_mooncake);
  add("cache2k web07", "caffeine_traces/cache2k/web07.trace.xz", read_cache2k);
  add("cache2k web12", "caffeine_traces/cache2k/web12.trace.xz", read_cache2k);
  add("cache2k orm-night", "caffeine_traces/cache2k/orm-night.trace.xz", read_cache2k);
  Result result{.name = "eviction", .seed = kSeed, .rows = {}, .targets = {}};
  for (const Trace& trace : traces) {
    for (const double share : {0.01, 0.05, 0.2}) {
      const double capacity = trace.footprint() * share;
      progress(fmt::format("{} at {:g}% of {:.0f} MB", trace.name, share * 100, trace.footprint() / 1e6));
      const double bound = offline_bound(trace, capacity);
      double lru = 0, gdsf = 0;
      for (const Eviction kind : response_cache::eviction_policies()) {
        const Saved saved = replay(trace, capacity, kind);
        if (kind == Eviction::kLru) lru = saved.dollar_rate;
        if (kind == Eviction::kGdsf) gdsf = saved.dollar_rate;
        result.rows.push_back({{"trace", trace.name},
                               {"capacity", share},
                               {"policy", to_string(kind)},
                               {"hit_rate", saved.hit_rate},
                               {"dollar_rate", saved.dollar_rate},
                               {"offline_bound", bound},
                               {"ns_per_request", saved.ns_per_request}});
      }
      if (!trace.name.starts_with("zipf")) continue;
      if (share == 0.01)
        result.targets.push_back(
            {trace.name + ": GDSF's dollars over LRU's at 1%", ">= 1.4x", gdsf / lru, gdsf / lru >= 1.4});
      if (share == 0.05)
        result.targets.push_back({trace.name + ": GDSF's dollars over the offline bound at 5%", ">= 0.85",
                                  gdsf / bound, gdsf / bound >= 0.85});
    }
  }
  print(result, json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::eval({argv + 1, argv + argc});
}
