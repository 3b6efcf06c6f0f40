#include "bench/serve_steady.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "lab/llama_reference.h"
#include "lab/measure.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kSteps = 12;
constexpr int kRoomTokens = 64;  // a sequence's answer: its pages count too
constexpr int kGroup = 64;       // requests that are admitted at once
constexpr int kBatchTokens = 512;
constexpr int kBatches = 5;
constexpr std::int32_t kToken = 5000;
constexpr const char* kShared = "shared";

/// Admission counts an exact prompt for each request of a group. Beside those: the sequences, the exact ones' prompts,
/// which stay for later, the shared prompt, what matmul_rate() reads, and the next pages of all that run. This is
/// address space: what isn't used takes no memory.
constexpr std::size_t kPoolSequences = std::size_t{2} * kExactSequences + kGroup + 12;

std::size_t exact_bytes_of(const SteadyOptions& options) {
  return exact_bytes(options.facts.shape, options.context_tokens, kRoomTokens);
}

/// From an answer's first token to its end.
double step_s(const llm::Done& done) {
  constexpr double kMs = 1e-3;
  return done.report.timing->decode_ms * kMs / static_cast<double>(done.usage.completion_tokens - 1);
}

}  // namespace

SteadyDecode::SteadyDecode(const SteadyOptions& options)
    : options_(options),
      exact_bytes_(exact_bytes_of(options)),
      engine_({.model_path = options.model_path,
               .threads = options.threads,
               .kv_bytes = exact_bytes_ * kPoolSequences,
               .prefix_bytes = exact_bytes_ * kPoolSequences,
               .calibrated = !options.exact_only}) {}

Question SteadyDecode::question(double ratio, int sequence) const {
  return {.prompt = some_tokens(options_.context_tokens, options_.facts.vocabulary),
          .new_tokens = kRoomTokens,
          .kv_ratio = ratio,
          // No question can be told apart in these tokens: it is what "auto" takes then.
          .mode = llm::KvMode::kQueryAgnostic,
          .tenant = ratio > 1 ? kShared : fmt::format("sequence {}", sequence)};
}

void SteadyDecode::read_before(int sequences, double ratio) {
  if (ratio > 1 && std::exchange(shared_is_read_, true)) return;
  for (int i = 0; i < (ratio > 1 ? 1 : sequences); ++i) {
    Question read = question(ratio, i);
    read.kv_ratio = 1;
    read.new_tokens = 1;
    engine_.ask(std::move(read))->wait();
  }
}

SteadyOutcome SteadyDecode::run(double ratio) {
  const double limit = static_cast<double>(exact_bytes_) * kExactSequences;
  SteadyOutcome out{.sequences = kExactSequences};
  read_before(kExactSequences, ratio);
  const llm::Done alone = engine_.ask(question(ratio, 0))->wait();
  const auto bytes = static_cast<double>(alone.report.kv->bytes);
  if (ratio > 1) out.sequences = std::max(1, static_cast<int>(limit / bytes));
  out.kv_bytes = bytes * out.sequences;
  std::vector<std::shared_ptr<Answer>> others;
  while (static_cast<int>(others.size()) + 1 < out.sequences) {
    const std::size_t begun = others.size();
    for (int i = 0; i < kGroup && static_cast<int>(others.size()) + 1 < out.sequences; ++i)
      others.push_back(engine_.ask(question(ratio, static_cast<int>(others.size()))));
    for (std::size_t i = begun; i < others.size(); ++i) others[i]->wait_begun();
  }
  // The last one writes with all others beside it, from its first token to its end.
  Question last = question(ratio, out.sequences - 1);
  last.new_tokens = 1 + kSteps;
  const auto answer = engine_.ask(std::move(last));
  out.step_s = step_s(answer->wait());
  for (const auto& other : others) {
    other->wait();
    if (other->ended_at() < answer->ended_at())
      fail(fmt::format("at {}x an answer of {} tokens ended before the last one did", ratio, kRoomTokens));
  }
  return out;
}

double SteadyDecode::matmul_rate() {
  std::vector<double> rates;
  for (int i = 0; i < kBatches; ++i) {
    constexpr double kMs = 1e-3;
    const llm::Done done = engine_
                               .ask({.prompt = some_tokens(kBatchTokens, options_.facts.vocabulary),
                                     .tenant = fmt::format("batch {}", i)})
                               ->wait();
    rates.push_back(kBatchTokens / (done.report.timing->prefill_ms * kMs));
  }
  return median(rates);
}

double llama_steady(const SteadyOptions& options, bool flash) {
  auto llama =
      need(LlamaReference::load(options.model_path, {.context_tokens = options.context_tokens + kRoomTokens,
                                                     .threads = options.threads,
                                                     .flash_attention = flash,
                                                     .sequences = kExactSequences}));
  llama->read(some_tokens(options.context_tokens, options.facts.vocabulary));
  llama->copy_to_all();
  llama->step_all(kToken);
  std::vector<double> seconds;
  for (int i = 0; i < kSteps; ++i) {
    const Stopwatch watch;
    llama->step_all(kToken);
    seconds.push_back(watch.seconds());
  }
  return kExactSequences / median(seconds);
}

}  // namespace pmt::bench
