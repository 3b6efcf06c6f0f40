// Cache 1 by itself, in one process: what a hit, a miss, a store that evicts and a key cost.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "llm/sinks.h"
#include "response_cache/cached_completer.h"
#include "response_cache/store/canonical_key.h"

namespace pmt::response_cache {
namespace {

Key key_of(std::int64_t i) {
  return base::sha256(std::to_string(i));
}

RecordedAnswer answer() {
  return {{llm::Started{.model = "bench", .created_unix_s = 1, .cache = {}},
           llm::Delta{.choice = 0, .text = std::string(400, 'x'), .logprobs = {}}, llm::ChoiceEnd{},
           llm::Done{.usage = {.prompt_tokens = 40, .completion_tokens = 100}, .report = {}}}};
}

/// A cache with `count` answers, and their keys in an order without locality.
struct Filled {
  explicit Filled(std::int64_t count) : cache({.entries_max = 4'000'000, .bytes_max = 8ULL << 30}, clock) {
    for (std::int64_t i = 0; i < count; ++i) {
      keys.push_back(key_of(i));
      if (!cache.store(keys.back(), Value{answer()}, {.tokens = 140})) std::abort();
    }
    std::sort(keys.begin(), keys.end());
  }
  base::SystemClock clock;
  ResponseCache cache;
  std::vector<Key> keys;
};

Filled& filled(std::int64_t count) {
  static std::map<std::int64_t, std::unique_ptr<Filled>> all;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  auto& one = all[count];
  if (!one) one = std::make_unique<Filled>(count);
  return *one;
}

void get_hit(benchmark::State& state) {
  Filled& f = filled(state.range(0));
  std::size_t i = static_cast<std::size_t>(state.thread_index()) * 7919;
  for (auto _ : state) {
    const auto entry = f.cache.get(f.keys[i++ % f.keys.size()]);
    if (!entry) state.SkipWithError("a miss");
    benchmark::DoNotOptimize(entry);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(get_hit)->Arg(1'000)->Arg(100'000)->Arg(500'000);
BENCHMARK(get_hit)->Arg(1'000)->Arg(100'000)->Threads(2)->UseRealTime();

void get_miss(benchmark::State& state) {
  Filled& f = filled(100'000);
  std::vector<Key> absent;
  for (std::int64_t i = 0; i < 10'000; ++i) absent.push_back(key_of(-1 - i));
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(f.cache.get(absent[i++ % absent.size()]));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(get_miss);

void store_with_eviction(benchmark::State& state) {
  base::SystemClock clock;
  ResponseCache cache({.entries_max = 10'000}, clock);
  std::vector<Key> keys;
  for (std::int64_t i = 0; i < 40'000; ++i) keys.push_back(key_of(i));
  std::size_t i = 0;
  for (auto _ : state) {
    if (!cache.store(keys[i++ % keys.size()], Value{answer()}, {.tokens = 140}))
      state.SkipWithError("refused");
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["evictions"] = static_cast<double>(cache.stats().evictions);
}
BENCHMARK(store_with_eviction);

llm::Request small_chat() {
  llm::Request request;
  const auto say = [&](const char* role, const char* content) {
    request.messages.push_back(
        {.role = role, .content = content, .name = {}, .tool_calls = {}, .tool_call_id = {}});
  };
  say("system", "You are a helpful assistant.");
  say("user", "What is the capital of France?");
  request.sampling.temperature = 0;
  request.max_tokens = 64;
  return request;
}

void make_request_key(benchmark::State& state) {
  const llm::Request request = small_chat();
  const nlohmann::json versions = {{"file", "sha256:0123456789abcdef0123456789abcdef"}};
  for (auto _ : state) benchmark::DoNotOptimize(request_key(request, "smollm2-135m-instruct", versions));
  state.counters["bytes"] =
      static_cast<double>(canonical_request(request, "smollm2-135m-instruct", versions).size());
}
BENCHMARK(make_request_key);

class Instant final : public llm::Completer {
 public:
  void start(llm::Request&&, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    for (auto& event : answer().events) sink->on_event(llm::Event(event));
  }
};

/// The whole way of a hit: request in, events out.
void completer_hit(benchmark::State& state) {
  base::SystemClock clock;
  ResponseCache cache({}, clock);
  Instant inner;
  CachedCompleter cached(inner, cache, clock, {.model = "bench", .versions = {}, .price = {}});
  std::size_t bytes = 0;
  const auto sink = std::make_shared<llm::FunctionSink>([&](const llm::Event& event) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) bytes += delta->text.size();
  });
  for (auto _ : state) cached.start(small_chat(), sink, {});
  benchmark::DoNotOptimize(bytes);
  if (cache.stats().misses > 1) state.SkipWithError("a miss");
}
BENCHMARK(completer_hit);

}  // namespace
}  // namespace pmt::response_cache

BENCHMARK_MAIN();
