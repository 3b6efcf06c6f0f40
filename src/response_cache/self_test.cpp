#include "response_cache/self_test.h"

#include <memory>
#include <utility>
#include <vector>

#include "llm/sinks.h"
#include "response_cache/cached_completer.h"

namespace pmt::response_cache {
namespace {

Key key_of(const char* text) {
  return base::sha256(text);
}

std::optional<std::string> test_store() {
  base::FakeClock clock;
  ResponseCache cache({.entries_max = 2, .bytes_max = 1 << 20}, clock);
  if (cache.get(key_of("a"))) return "an empty cache has an entry";
  for (const char* name : {"a", "b"}) {
    if (!cache.store(key_of(name), Value{nlohmann::json(name)}, {})) return "a value was not stored";
  }
  const auto a = cache.get(key_of("a"));
  if (!a || std::get<nlohmann::json>(a->value.content) != "a") return "a stored value was not found";
  if (!cache.store(key_of("c"), Value{nlohmann::json("c")}, {}))
    return "a value was not stored in a full cache";
  if (cache.get(key_of("b")) || !cache.get(key_of("a"))) return "the wrong entry was evicted";
  if (cache.stats().entries != 2) return "the limit of entries did not hold";
  return std::nullopt;
}

/// Answers each request with its own prompt, when told to.
class Echo final : public llm::Completer {
 public:
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    waiting_.emplace_back(std::move(request.prompt), std::move(sink));
  }
  /// Returns how many it has answered.
  std::size_t answer() {
    const auto now = std::exchange(waiting_, {});
    for (const auto& [prompt, sink] : now) {
      sink->on_event(llm::Started{.model = "echo", .created_unix_s = 0, .cache = {}});
      sink->on_event(llm::Delta{.choice = 0, .text = prompt, .logprobs = {}});
      sink->on_event(llm::ChoiceEnd{});
      sink->on_event(llm::Done{.usage = {.prompt_tokens = 1, .completion_tokens = 1}, .report = {}});
    }
    return now.size();
  }

 private:
  std::vector<std::pair<std::string, std::shared_ptr<llm::Sink>>> waiting_;
};

std::optional<std::string> test_coalescing() {
  base::FakeClock clock;
  ResponseCache cache({}, clock);
  Echo model;
  CachedCompleter cached(model, cache, clock, {.model = "echo", .versions = {}, .price = {}});
  llm::Request request;
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt = "What is the capital of France?";
  request.sampling.temperature = 0;
  llm::Request other = request;
  other.prompt = "What is the capital of Peru?";
  std::vector<std::shared_ptr<llm::CollectingSink>> sinks;
  const auto ask = [&](const llm::Request& r) {
    sinks.push_back(std::make_shared<llm::CollectingSink>());
    cached.start(llm::Request(r), sinks.back(), {});
  };
  ask(request);
  ask(request);
  ask(other);
  if (model.answer() != 2)
    return "two identical requests at once were not computed once, or two different ones were";
  ask(request);
  if (model.answer() != 0) return "a repeated request was computed again";
  for (std::size_t i = 0; i < sinks.size(); ++i) {
    if (llm::text_of(sinks[i]->wait()) != (i == 2 ? other : request).prompt)
      return "an answer changed in the cache";
  }
  const Stats stats = cache.stats();
  if (stats.hits != 1 || stats.coalesced != 1 || stats.tokens_saved != 4) return "the counters are wrong";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> self_test() {
  if (auto failure = test_store()) return failure;
  return test_coalescing();
}

}  // namespace pmt::response_cache
