#include "bench/serve_end_to_end.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "inference/local_model.h"
#include "lab/llama_reference.h"
#include "lab/measure.h"
#include "llm/sinks.h"
#include "model/gguf_file.h"
#include "model/hparams.h"
#include "model/vocab.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kExactSequences = 8;

std::vector<std::int32_t> some_prompt(int tokens, int request) {
  std::mt19937 rng(static_cast<unsigned>(request));
  std::vector<std::int32_t> out(static_cast<std::size_t>(tokens));
  for (std::int32_t& token : out) token = static_cast<std::int32_t>(1000 + rng() % 40000);
  return out;
}

/// Tokens that would end an answer early: never chosen, so that every answer has its length.
std::map<std::int32_t, float> no_end(const model::Vocab& vocab) {
  std::map<std::int32_t, float> out;
  for (std::int32_t token = 0; token < vocab.size(); ++token) {
    if (vocab.is_eog(token)) out[token] = -100;
  }
  return out;
}

}  // namespace

EndToEndTime our_requests(const std::string& model_path, int threads, const EndToEndLoad& load) {
  const base::SystemClock clock;
  const auto file = need(model::GgufFile::open(model_path));
  const auto shape = need(model::read_hparams(file)).kv_shape();
  const auto vocab = need(model::Vocab::load(model_path));
  inference::LocalModelOptions options;
  options.name = "model";
  options.path = model_path;
  options.threads = threads;
  options.kv_bytes_max =
      static_cast<std::size_t>(shape.bytes_f16(load.prompt_tokens + load.new_tokens)) * kExactSequences;
  options.prefix_bytes_max = 0;
  options.kv_ratio = load.kv_ratio;  // calibrates while it loads, not in the measured time
  options.calibration_path =
      std::filesystem::temp_directory_path() / fmt::format("permutation-bench-{}.kv", file.bytes());
  const auto model = need(inference::LocalModel::load(options, clock));
  std::vector<std::shared_ptr<llm::CollectingSink>> sinks;
  const Stopwatch watch;
  for (int i = 0; i < load.requests; ++i) {
    llm::Request request;
    request.endpoint = llm::Endpoint::kCompletions;
    request.prompt_tokens = some_prompt(load.prompt_tokens, i);
    request.max_tokens = load.new_tokens;
    request.sampling.temperature = 0;
    request.sampling.logit_bias = no_end(*vocab);
    request.kv = {load.kv_ratio, load.kv_ratio > 1 ? llm::KvMode::kQueryAware : llm::KvMode::kExact};
    request.speculation = llm::Speculation::kOff;
    sinks.push_back(std::make_shared<llm::CollectingSink>());
    model->start(std::move(request), sinks.back(), {});
  }
  EndToEndTime out;
  std::atomic<bool> done{false};
  std::thread watcher([&] {
    for (; !done; std::this_thread::sleep_for(std::chrono::milliseconds(50)))
      out.kv_bytes = std::max(out.kv_bytes, model->kv_stats().bytes);
  });
  for (const auto& sink : sinks) {
    const auto events = sink->wait();
    if (const auto* end = std::get_if<llm::Done>(&events.back())) {
      out.new_tokens += end->usage.completion_tokens;
    } else {
      progress("error: " + std::get<llm::Failed>(events.back()).error.message);
      std::exit(1);
    }
  }
  out.seconds = watch.seconds();
  done = true;
  watcher.join();
  return out;
}

EndToEndTime llama_requests(const std::string& model_path, int threads, const EndToEndLoad& load,
                            bool flash) {
  auto llama = need(LlamaReference::load(model_path, {.context_tokens = load.prompt_tokens + load.new_tokens,
                                                      .threads = threads,
                                                      .flash_attention = flash,
                                                      .sequences = load.requests}));
  const Stopwatch watch;
  for (int i = 0; i < load.requests; ++i) {
    llama->clear();
    llama->read(some_prompt(load.prompt_tokens, i));
  }
  llama->copy_to_all();
  for (int i = 1; i < load.new_tokens; ++i) llama->step_all(1000 + i);
  return {watch.seconds(), std::int64_t{load.requests} * load.new_tokens, 0};
}

}  // namespace pmt::bench
