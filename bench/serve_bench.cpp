// ./dev bench serve [--context TOKENS] [--prompt TOKENS] [--answer TOKENS] [--exact-only] [--json]: many
// answers at once in a fixed memory for keys and values, that of eight f16 sequences of 6K tokens. Exact,
// eight fit; compressed, as many as the pool holds. Every sequence is a physical copy, page by page, of a
// real prefill, compressed by what a request is compressed by. Measured is the steady state: each step gives every
// sequence one token. llama.cpp runs its
// eight in the same process, with and without flash attention; the ratio is against the better.
//
// Beside each: the bytes that a step must read (weights once, pages once) over the memory bandwidth measured
// here, and the multiplications that it must do over the rate measured here for the same kernels on a full
// batch; the greater of the two is the roofline, its share of the measured time roofline_share.
//
// Then the same end to end, prompts read and answers written by the whole engine, in the memory of eight f16
// sequences of --prompt and --answer tokens.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bench/serve_end_to_end.h"
#include "compression/asides.h"
#include "compression/calibration.h"
#include "compression/prompt_compression.h"
#include "engine/home.h"
#include "lab/llama_reference.h"
#include "lab/measure.h"
#include "model/transformer.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kExactSequences = 8;
constexpr int kCompressedRequests = 32;  // end to end, in the memory of eight exact ones
constexpr int kSteps = 12;
constexpr int kRoomTokens = 64;  // a sequence's answer: its pages count too
constexpr int kContextMin = 128;
constexpr int kBatchTokens = 512;
constexpr std::int32_t kToken = 5000;

void check(const base::Status& status) {
  if (status) return;
  progress("error: " + status.error().message);
  std::exit(1);
}

std::vector<std::int32_t> some_tokens(int count) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  std::uint32_t state = 1;
  for (auto& token : tokens) {
    state = state * 1664525U + 1013904223U;
    token = static_cast<std::int32_t>(1000 + (state >> 8) % 40000);
  }
  return tokens;
}

struct Outcome {
  int sequences = 0;
  double step_s = 0;
  double kv_bytes = 0;
  double slots = 0;  // token slots over all tables and sequences
};

class Ours {
 public:
  Ours(std::unique_ptr<model::Transformer> transformer, const std::string& path, int context)
      : transformer_(std::move(transformer)), path_(path), context_(context), tokens_(some_tokens(context)) {
    const auto bytes = static_cast<std::size_t>(transformer_->hparams().kv_shape().token_bytes_f16()) *
                       static_cast<std::size_t>(context + kRoomTokens) * kExactSequences;
    limit_ = static_cast<std::int64_t>(bytes);
    // Room beside for the sequence that is copied from.
    pool_ = std::move(*transformer_->make_pool(bytes + bytes / 4));
    source_ = std::make_unique<kv_cache::SequenceKv>(*pool_, transformer_->hparams().kv_shape());
  }

  Outcome run(double ratio) {
    std::vector<kv_cache::SequenceKv> sequences;
    compression::PromptCompression compression({.mode = compression::Mode::kQueryAware,
                                                .ratio = ratio,
                                                .prompt_tokens = context_,
                                                .question = std::nullopt,
                                                .measured = nullptr});
    read(compression);
    std::int64_t held = 0;
    for (;;) {
      sequences.push_back(ratio > 1 ? compressed(compression) : copied());
      check(sequences.back().reserve(kRoomTokens));
      held += sequences.back().held().pages;
      if (held <= limit_) continue;
      held -= sequences.back().held().pages;
      sequences.pop_back();
      break;
    }
    std::vector<std::int32_t> next = {kToken};
    const auto step = [&] {
      std::vector<model::BatchSpan> batch;
      for (auto& sequence : sequences) batch.push_back({&sequence, next, {0}});
      const auto done = transformer_->forward(*pool_, batch);
      if (!done) check(done.error());
    };
    step();
    std::vector<double> seconds;
    for (int i = 0; i < kSteps; ++i) {
      const Stopwatch watch;
      step();
      seconds.push_back(watch.seconds());
    }
    Outcome out{static_cast<int>(sequences.size()), median(seconds), static_cast<double>(held), 0};
    for (const auto& sequence : sequences) out.slots += static_cast<double>(sequence.slots());
    return out;
  }

  /// Multiplications of weights a second on a full batch without context.
  double matmul_rate() {
    kv_cache::SequenceKv sequence(*pool_, transformer_->hparams().kv_shape());
    std::vector<double> seconds;
    const auto batch = some_tokens(kBatchTokens);
    for (int i = 0; i < 5; ++i) {
      model::BatchSpan span{&sequence, batch, {kBatchTokens - 1}};
      const Stopwatch watch;
      const auto done = transformer_->forward(*pool_, {&span, 1});
      if (!done) check(done.error());
      seconds.push_back(watch.seconds());
      sequence.clear();
    }
    return kBatchTokens / median(seconds);  // tokens a second
  }

  const model::Transformer& transformer() const { return *transformer_; }

 private:
  kv_cache::SequenceKv copied() {
    kv_cache::SequenceKv out(*pool_, source_->shape());
    check(out.reserve(context_));
    const kv_cache::KvShape& shape = source_->shape();
    for (std::size_t t = 0; t < shape.tables(); ++t) {
      const auto from = source_->table(shape.layer_of(t), shape.head_of(t)).pages;
      const auto to = out.table(shape.layer_of(t), shape.head_of(t)).pages;
      for (std::size_t i = 0; i < from.size(); ++i)
        std::memcpy(pool_->data(to[i]), pool_->data(from[i]), pool_->bytes_of(kv_cache::PageSize::kLarge));
    }
    out.commit(context_);
    return out;
  }

  /// The source, as a request's prompt is read.
  void read(compression::PromptCompression& compression) {
    source_->clear();
    if (compression.active()) calibrate();
    while (source_->tokens() < context_) {
      const int left = std::min(kBatchTokens, context_ - source_->tokens());
      const int count = compression.span_tokens(*source_, left);
      model::BatchSpan span{source_.get(),
                            std::span(tokens_).subspan(static_cast<std::size_t>(source_->tokens()),
                                                       static_cast<std::size_t>(count)),
                            {}};
      if (compression.active()) compression.observe(span, calibration_->predictor, transformer_->hparams());
      const auto done = transformer_->forward(*pool_, {&span, 1});
      if (!done) check(done.error());
    }
  }

  void calibrate() {
    if (calibration_) return;
    vocab_ = need(model::Vocab::load(path_));
    calibration_ = need(compression::load_or_calibrate(
        *transformer_, *vocab_, engine::calibration_path(path_).string(),
        [](float done) { progress(fmt::format("calibrating: {:.0f}%", 100 * done)); }, progress));
  }

  kv_cache::SequenceKv compressed(compression::PromptCompression& compression) {
    kv_cache::SequenceKv out = source_->fork();
    check(compression.compress(out, tokens_, compression::asides_for(*vocab_), *transformer_, *pool_));
    return out;
  }

  std::unique_ptr<model::Transformer> transformer_;
  std::unique_ptr<model::Vocab> vocab_;
  std::optional<compression::Calibration> calibration_;
  std::string path_;
  int context_;
  std::vector<std::int32_t> tokens_;
  std::int64_t limit_ = 0;
  std::unique_ptr<kv_cache::PagePool> pool_;
  std::unique_ptr<kv_cache::SequenceKv> source_;
};

double llama_tokens_per_s(const std::string& path, int threads, int context, bool flash) {
  auto llama = LlamaReference::load(path, {.context_tokens = context + kRoomTokens,
                                           .threads = threads,
                                           .flash_attention = flash,
                                           .sequences = kExactSequences});
  if (!llama) check(llama.error());
  (*llama)->read(some_tokens(context));
  (*llama)->copy_to_all();
  (*llama)->step_all(kToken);
  std::vector<double> seconds;
  for (int i = 0; i < kSteps; ++i) {
    const Stopwatch watch;
    (*llama)->step_all(kToken);
    seconds.push_back(watch.seconds());
  }
  return kExactSequences / median(seconds);
}

/// Bytes a second that all threads together read from memory.
double bandwidth(int threads) {
  const std::size_t words = (std::size_t{256} << 20) / sizeof(std::uint64_t);
  std::vector<std::uint64_t> data(words, 1);
  std::vector<double> rates;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::thread> readers;
    std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads) * 8);
    const Stopwatch watch;
    for (int t = 0; t < threads; ++t) {
      readers.emplace_back([&, t] {
        const std::size_t share = words / static_cast<std::size_t>(threads);
        std::uint64_t lanes[32] = {};
        const std::uint64_t* from = data.data() + share * static_cast<std::size_t>(t);
        for (std::size_t i = 0; i + 32 <= share; i += 32) {
          for (std::size_t j = 0; j < 32; ++j) lanes[j] += from[i + j];
        }
        for (const std::uint64_t lane : lanes) sums[static_cast<std::size_t>(t) * 8] += lane;
      });
    }
    for (auto& reader : readers) reader.join();
    rates.push_back(static_cast<double>(words * sizeof(std::uint64_t)) / watch.seconds());
    if (sums[0] == 0) std::exit(1);  // so that the reading isn't left out
  }
  return median(rates);
}

int run(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const bool exact_only = take_flag(args, "--exact-only");  // calibrates nothing
  const int context = std::stoi(take_value(args, "--context", "6144"));
  const int prompt_tokens = std::stoi(take_value(args, "--prompt", "1024"));
  const int answer_tokens = std::stoi(take_value(args, "--answer", "256"));
  const char* path = std::getenv("PERMUTATION_MODEL");
  if (path == nullptr || !args.empty() || context < kContextMin || prompt_tokens < kContextMin ||
      answer_tokens < 2) {
    progress(
        "usage: ./dev bench serve [--context TOKENS] [--prompt TOKENS] [--answer TOKENS] [--exact-only] "
        "[--json]; TOKENS of context and prompt from 128 on");
    return 2;
  }
  const int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  auto transformer = model::Transformer::load(path, threads, {});
  if (!transformer) check(transformer.error());
  Ours ours(std::move(*transformer), path, context);
  const double read_rate = bandwidth(threads);
  const double matmul_rate = ours.matmul_rate();
  double llama = 0;
  for (const bool flash : {false, true}) {
    progress(fmt::format("llama.cpp, flash attention {}", flash ? "on" : "off"));
    llama = std::max(llama, llama_tokens_per_s(path, threads, context, flash));
  }
  Result result;
  result.name = "bench serve";
  result.seed = 1;
  const std::pair<double, double> asked[] = {{1, 2}, {8, 4}, {64, 7}};
  for (const auto& [ratio, wanted] : asked) {
    if (exact_only && ratio > 1) continue;
    progress(fmt::format("ours at {}x", ratio));
    const Outcome outcome = ours.run(ratio);
    const double rate = outcome.sequences / outcome.step_s;
    const double bytes = outcome.kv_bytes + static_cast<double>(ours.transformer().file_bytes());
    const double roofline_s = std::max(bytes / read_rate, outcome.sequences / matmul_rate);
    nlohmann::ordered_json row;
    row["what"] = "steady decode";
    row["kv_ratio"] = ratio;
    row["concurrent"] = outcome.sequences;
    row["tokens_per_s"] = rate;
    row["llama_cpp_tokens_per_s"] = llama;
    row["ratio_vs_llama_cpp"] = rate / llama;
    row["kv_bytes"] = outcome.kv_bytes;
    row["step_ms"] = outcome.step_s * 1000;
    row["memory_roofline_ms"] = bytes / read_rate * 1000;
    row["matmul_roofline_ms"] = outcome.sequences / matmul_rate * 1000;
    row["roofline_share"] = roofline_s / outcome.step_s;
    result.rows.push_back(row);
    result.targets.push_back({fmt::format("steady decode against llama.cpp's eight, {}x", ratio),
                              fmt::format(">= {}x", wanted), rate / llama, rate / llama >= wanted});
  }
  const EndToEndLoad eight{.prompt_tokens = prompt_tokens, .new_tokens = answer_tokens};
  double llama_whole = 0;
  for (const bool flash : {false, true}) {
    progress(fmt::format("end to end: llama.cpp, flash attention {}", flash ? "on" : "off"));
    const EndToEndTime time = llama_requests(path, threads, eight, flash);
    llama_whole = std::max(llama_whole, static_cast<double>(time.new_tokens) / time.seconds);
  }
  for (const auto& [ratio, wanted] : asked) {
    if (exact_only && ratio > 1) continue;
    EndToEndLoad load = eight;
    load.kv_ratio = ratio;
    load.requests = ratio > 1 ? kCompressedRequests : kExactSequences;
    progress(fmt::format("end to end: ours at {}x, {} requests", ratio, load.requests));
    const EndToEndTime time = our_requests(path, threads, load);
    const double rate = static_cast<double>(time.new_tokens) / time.seconds;
    // Prompts at the rate of a full batch; then every token's multiplications, or reading the weights a step.
    const double read_s = load.prompt_tokens * load.requests / matmul_rate;
    const double step_s = std::max(load.requests / matmul_rate,
                                   static_cast<double>(ours.transformer().file_bytes()) / read_rate);
    nlohmann::ordered_json row;
    row["what"] = "end to end";
    row["kv_ratio"] = ratio;
    row["concurrent"] = load.requests;
    row["tokens_per_s"] = rate;
    row["llama_cpp_tokens_per_s"] = llama_whole;
    row["ratio_vs_llama_cpp"] = rate / llama_whole;
    row["kv_bytes"] = time.kv_bytes;
    row["step_ms"] = nullptr;
    row["memory_roofline_ms"] = nullptr;
    row["matmul_roofline_ms"] = nullptr;
    row["roofline_share"] = (read_s + load.new_tokens * step_s) / time.seconds;
    result.rows.push_back(row);
  }
  progress(fmt::format("measured here: {:.1f} GB/s read, {:.0f} tokens/s of matmuls", read_rate / 1e9,
                       matmul_rate));
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::run({argv + 1, argv + argc});
}
