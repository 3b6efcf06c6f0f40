#include "bench/serve_end_to_end.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "lab/llama_reference.h"
#include "lab/measure.h"

namespace pmt::bench {
using namespace lab;
namespace {

std::vector<std::int32_t> some_prompt(const EndToEndLoad& load, int request) {
  return some_tokens(load.prompt_tokens, load.facts.vocabulary, request);
}

}  // namespace

EndToEndTime our_requests(const EndToEndLoad& load) {
  ServeEngine engine(
      {.model_path = load.model_path,
       .threads = load.threads,
       .kv_bytes = exact_bytes(load.facts.shape, load.prompt_tokens, load.new_tokens) * kExactSequences,
       .calibrated = load.kv_ratio > 1});
  std::vector<std::shared_ptr<Answer>> answers;
  const Stopwatch watch;
  for (int i = 0; i < load.requests; ++i) {
    answers.push_back(engine.ask({.prompt = some_prompt(load, i),
                                  .new_tokens = load.new_tokens,
                                  .kv_ratio = load.kv_ratio,
                                  .mode = llm::KvMode::kQueryAware}));
  }
  EndToEndTime out;
  std::atomic<bool> done{false};
  std::thread watcher([&] {
    for (; !done; std::this_thread::sleep_for(std::chrono::milliseconds(50)))
      out.kv_bytes = std::max(out.kv_bytes, engine.model().kv_stats().bytes);
  });
  for (const auto& answer : answers) out.new_tokens += answer->wait().usage.completion_tokens;
  out.seconds = watch.seconds();
  done = true;
  watcher.join();
  return out;
}

EndToEndTime llama_requests(const EndToEndLoad& load, bool flash) {
  auto llama =
      need(LlamaReference::load(load.model_path, {.context_tokens = load.prompt_tokens + load.new_tokens,
                                                  .threads = load.threads,
                                                  .flash_attention = flash,
                                                  .sequences = load.requests}));
  const Stopwatch watch;
  for (int i = 0; i < load.requests; ++i) {
    llama->clear();
    llama->read(some_prompt(load, i));
  }
  llama->copy_to_all();
  for (int i = 1; i < load.new_tokens; ++i) llama->step_all(1000 + i);
  return {watch.seconds(), std::int64_t{load.requests} * load.new_tokens, 0};
}

}  // namespace pmt::bench
