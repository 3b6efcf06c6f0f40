// ./dev bench embed: what libpermutation.so costs its caller. A hit of its response cache at 1,000 entries, with the value
// handed out and with it copied; a miss; a store; a completion from the cache; and a computed completion beside the same
// request given to the same kind of model at the waist, in turns, so that a drift of the machine's speed hits both.
// PMT_PEERS: a Python with cffi (./dev makes it), for a hit from there.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <permutation/permutation.hpp>

#include "engine/local_engine.h"
#include "lab/measure.h"
#include "llm/sinks.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kEntries = 1'000;
constexpr int kTokens = 32;
constexpr int kValueBytes = 400;

permutation::Engine open_engine(const std::string& path) {
  auto engine = permutation::Engine::open(
      "[embeddings]\nenabled = false\n[[model]]\nname = \"model\"\npath = \"" + path + "\"\n");
  if (!engine) fail(engine.error().message);
  return std::move(*engine);
}

std::unique_ptr<engine::LocalEngine> open_waist(const std::string& path, const base::Clock& clock) {
  inference::LocalModelOptions model;
  model.name = "model";
  model.path = path;
  return need(engine::LocalEngine::open({.models = {std::move(model)}}, clock));
}

/// Seconds a call of `act(i)`: the median of rounds of a millisecond or so, which is less than a turn on a processor that
/// others use as well.
template <class Act>
double seconds_each(int calls, Act&& act) {
  std::vector<double> rounds;
  for (int round = 0, done = 0; round < 301; ++round) {
    const Stopwatch watch;
    for (int i = 0; i < calls; ++i) act(done++);
    rounds.push_back(watch.seconds() / calls);
  }
  return median(std::move(rounds));
}

void add(Result& result, const std::string& what, double seconds) {
  result.rows.push_back({{"what", what}, {"us", seconds * 1e6}, {"per_s", 1 / seconds}});
}

double measure_cache(Result& result) {
  permutation_cache* cache = nullptr;
  if (permutation_cache_open(nullptr, 0, &cache, nullptr) != PERMUTATION_OK)
    fail("the cache can't be opened");
  std::vector<permutation_key> keys, absent;
  const std::string value(kValueBytes, 'x');
  for (int i = 0; i < kEntries; ++i) {
    const std::string name = fmt::format("entry {}", i), other = fmt::format("absent {}", i);
    keys.push_back(permutation_cache_key(name.data(), name.size()));
    absent.push_back(permutation_cache_key(other.data(), other.size()));
  }
  const auto at = [](std::vector<permutation_key>& of, int i) {
    return &of[static_cast<std::size_t>(i % kEntries)];
  };
  add(result, "store", seconds_each(2'000, [&](int i) {
        permutation_cache_store(cache, at(keys, i), value.data(), value.size(), nullptr, nullptr);
      }));
  permutation_entry entry;
  const double hit = seconds_each(10'000, [&](int i) {
    if (permutation_cache_get(cache, at(keys, i), &entry) != PERMUTATION_OK) fail("a miss");
    permutation_text_free(&entry.value);
  });
  add(result, "hit, handed out", hit);
  char buffer[2 * kValueBytes];
  std::size_t size = 0;
  const double read = seconds_each(10'000, [&](int i) {
    if (permutation_cache_read(cache, at(keys, i), buffer, sizeof buffer, &size) != PERMUTATION_OK)
      fail("a miss");
  });
  add(result, "hit, copied", read);
  add(result, "miss", seconds_each(10'000, [&](int i) {
        if (permutation_cache_get(cache, at(absent, i), &entry) != PERMUTATION_NOT_FOUND) fail("a hit");
      }));
  add(result, "key", seconds_each(5'000, [&](int) { permutation_cache_key(value.data(), 40); }));
  permutation_cache_close(cache);
  return 1 / std::min(hit, read);
}

/// Hits a second from Python, by the package of this checkout; nullopt where there is no Python with cffi.
std::optional<double> measure_python(Result& result) {
  const char* const python = std::getenv("PMT_PEERS");
  if (python == nullptr || *python == '\0') return std::nullopt;
  const std::string command = fmt::format(
      "PYTHONPATH='{0}/python' PERMUTATION_LIBRARY='{1}' '{2}' -B '{0}/bench/embed_hits.py' {3} {4}",
      PMT_SOURCE_DIR, PMT_LIBRARY, python, kEntries, kValueBytes);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  double seconds = 0;
  if (pipe == nullptr || std::fscanf(pipe.get(), "%lf", &seconds) != 1) fail("embed_hits.py failed");
  add(result, "hit, from Python", seconds);
  return 1 / seconds;
}

std::string question(int i) {
  return fmt::format("Tell me something about the number {}.", i);
}

std::string request_of(int i, bool cached) {
  return nlohmann::json{{"model", "model"},
                        {"temperature", 0},
                        {"max_tokens", kTokens},
                        {"messages", {{{"role", "user"}, {"content", question(i)}}}},
                        {"permutation", {{"cache", {{"mode", cached ? "on" : "off"}}}}}}
      .dump();
}

double seconds_in_library(const permutation::Engine& engine, int i) {
  const std::string request = request_of(i, false);
  const Stopwatch watch;
  if (auto answer = engine.complete(request); !answer) fail(answer.error().message);
  return watch.seconds();
}

double seconds_at_waist(engine::LocalEngine& local, int i) {
  llm::Request request;
  request.model = "model";
  request.messages = {{.role = "user", .content = question(i), .name = {}, .tool_call_id = {}}};
  request.sampling.temperature = 0;
  request.max_tokens = kTokens;
  const auto sink = std::make_shared<llm::CollectingSink>();
  const Stopwatch watch;
  local.models()[0].completer().start(std::move(request), sink, {});
  if (!std::holds_alternative<llm::Done>(sink->wait().back())) fail("the model failed");
  return watch.seconds();
}

int bench(std::vector<std::string> args) {
  const bool json = take_flag(args, "--json");
  const char* const model = std::getenv("PERMUTATION_MODEL");
  const std::string path = take_value(args, "--model", model == nullptr ? "" : model);
  const int repeats = std::stoi(take_value(args, "--repeats", "15"));
  if (path.empty() || !args.empty()) {
    fmt::print(stderr, "usage: bench embed --model GGUF [--repeats N] [--json]\n");
    return 2;
  }
  Result result{.name = "embed", .seed = 1, .rows = {}, .targets = {}};
  const double hits = measure_cache(result);
  const std::optional<double> from_python = measure_python(result);
  const base::SystemClock clock;
  const permutation::Engine engine = open_engine(path);
  const auto local = open_waist(path, clock);
  std::vector<double> library, waist;
  for (int i = -1; i < repeats; ++i) {  // the first one warms both up
    progress(fmt::format("completion {} of {}", i + 1, repeats));
    const double mine = seconds_in_library(engine, i), theirs = seconds_at_waist(*local, i);
    if (i < 0) continue;
    library.push_back(mine);
    waist.push_back(theirs);
  }
  const std::string cached = request_of(0, true);
  add(result, "completion from the cache", seconds_each(100, [&](int) {
        if (auto answer = engine.complete(cached); !answer) fail(answer.error().message);
      }));
  add(result, fmt::format("completion of {} tokens, library", kTokens), median(library));
  add(result, fmt::format("completion of {} tokens, waist", kTokens), median(waist));
  const double ratio = median(library) / median(waist);
  result.targets.push_back({"hits a second from C at 1,000 entries", ">= 5M", hits, hits >= 5e6});
  if (from_python)
    result.targets.push_back({"the same from Python", ">= 500K", *from_python, *from_python >= 5e5});
  result.targets.push_back(
      {"a completion through the library against the waist", "<= 1.02x", ratio, ratio <= 1.02});
  print(result, json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench({argv + 1, argv + argc});
}
