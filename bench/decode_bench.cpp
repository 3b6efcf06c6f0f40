// ./dev bench decode: one sequence, prefill and decoding, ours and llama.cpp's in one process, on the same
// file, threads and context, alternating so that a drift of the machine's speed hits both. llama.cpp runs
// with each of its KV settings (f16 with and without flash attention); the ratio is against the best of them.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "compression/encode.h"
#include "compression/plan.h"
#include "compression/scores.h"
#include "kv_cache/prefix_index.h"
#include "lab/llama_reference.h"
#include "lab/measure.h"
#include "model/transformer.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kDecodeTokens = 32;
constexpr int kChunkTokens = 512;  // llama.cpp's default ubatch

constexpr double kRatios[] = {8, 64};
constexpr int kQuestionTokens = 32;

struct Speed {
  double prefill_s = 0;
  double decode_s = 0;                 // per token
  double compressed_decode_s[2] = {};  // at kRatios
  double ratio_achieved[2] = {};
  double scoring_s = 0;           // what the question attends to
  double compression_s = 0;       // choosing and rewriting, at kRatios[0]
  double repeated_prefill_s = 0;  // the same prompt again, from the prefix index
};

/// Tokens that differ, so that no cache line is luckier than in real text; their meaning has no effect on
/// speed.
std::vector<std::int32_t> some_tokens(int count, int vocabulary) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  std::uint32_t state = 1;
  for (auto& token : tokens) {
    state = state * 1664525U + 1013904223U;
    token = static_cast<std::int32_t>(1000 + (state >> 8) % static_cast<std::uint32_t>(vocabulary - 2000));
  }
  return tokens;
}

class Ours {
 public:
  Ours(std::unique_ptr<model::Transformer> transformer, std::size_t pool_bytes, int threads)
      : threads_(threads),
        transformer_(std::move(transformer)),
        pool_(std::move(*transformer_->make_pool(pool_bytes))),
        sequence_(*pool_, transformer_->hparams().kv_shape()) {}

  Speed run(std::span<const std::int32_t> tokens, int depth) {
    sequence_.clear();
    Speed speed;
    const Stopwatch prefill;
    for (int at = 0; at < depth; at += kChunkTokens) {
      const int count = std::min(kChunkTokens, depth - at);
      read(sequence_, tokens.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count)),
           at + count == depth);
    }
    speed.prefill_s = prefill.seconds();
    {
      kv_cache::PrefixIndex prefixes(*pool_, std::int64_t{1} << 40);
      const auto prompt = tokens.first(static_cast<std::size_t>(depth));
      prefixes.insert({}, prompt, sequence_);
      const Stopwatch repeated;
      auto known = prefixes.find({}, prompt, depth - 1);
      if (known) read(*known, prompt.last(static_cast<std::size_t>(depth - known->tokens())), true);
      speed.repeated_prefill_s = repeated.seconds();
    }
    // Cut down by what the last tokens attend to, so that heads differ in length as they do in use.
    const Stopwatch scoring;
    const auto question = compression::question_from(depth - kQuestionTokens, depth);
    auto queries = compression::room_for_queries(transformer_->hparams(), question.first, kQuestionTokens);
    const auto scores = compression::score_by_question(
        *transformer_, *pool_, sequence_, tokens.first(static_cast<std::size_t>(depth)), question, &queries);
    speed.scoring_s = scoring.seconds();
    for (std::size_t i = 0; scores && i < std::size(kRatios); ++i) {
      const Stopwatch compression;
      kv_cache::SequenceKv compact = sequence_.fork();
      auto ones = compression::zero_scores(compact.shape(), depth);
      std::fill(ones.values.begin(), ones.values.end(), 1.0F);
      const auto plan =
          compression::plan(compression::combine(ones, *scores, question, kRatios[i]), compact.shape(),
                            {.ratio = kRatios[i], .tokens = depth, .question = question});
      if (!compact.adopt(
              compression::encode(compact, *pool_, plan, {.threads = threads_, .queries = &queries})))
        continue;
      if (i == 0) speed.compression_s = compression.seconds();
      speed.ratio_achieved[i] = static_cast<double>(compact.shape().token_bytes_f16()) * depth /
                                static_cast<double>(compact.held().total());
      speed.compressed_decode_s[i] = decode(compact, tokens, depth);
    }
    speed.decode_s = decode(sequence_, tokens, depth);
    return speed;
  }

 private:
  double decode(kv_cache::SequenceKv& sequence, std::span<const std::int32_t> tokens, int depth) {
    const Stopwatch watch;
    for (int i = 0; i < kDecodeTokens; ++i)
      read(sequence, tokens.subspan(static_cast<std::size_t>(depth + i), 1), true);
    return watch.seconds() / kDecodeTokens;
  }

  void read(kv_cache::SequenceKv& sequence, std::span<const std::int32_t> tokens, bool logits) {
    model::BatchSpan span{&sequence, tokens, {}};
    if (logits) span.output_rows.push_back(static_cast<int>(tokens.size()) - 1);
    const auto result = transformer_->forward(*pool_, {&span, 1});
    if (!result) {
      progress(result.error().message);
      std::exit(1);
    }
  }

  const int threads_;
  std::unique_ptr<model::Transformer> transformer_;
  std::unique_ptr<kv_cache::PagePool> pool_;
  kv_cache::SequenceKv sequence_;
};

Speed run(LlamaReference& llama, std::span<const std::int32_t> tokens, int depth) {
  llama.clear();
  Speed speed;
  const Stopwatch prefill;
  llama.read(tokens.first(static_cast<std::size_t>(depth)));
  speed.prefill_s = prefill.seconds();
  const Stopwatch decode;
  for (int i = 0; i < kDecodeTokens; ++i) llama.read(tokens.subspan(static_cast<std::size_t>(depth + i), 1));
  speed.decode_s = decode.seconds() / kDecodeTokens;
  return speed;
}

Speed median_of(const std::vector<Speed>& runs) {
  const auto of = [&](auto&& member) {
    std::vector<double> values;
    for (const Speed& run : runs) values.push_back(member(run));
    return median(values);
  };
  Speed out;
  out.prefill_s = of([](const Speed& s) { return s.prefill_s; });
  out.decode_s = of([](const Speed& s) { return s.decode_s; });
  out.scoring_s = of([](const Speed& s) { return s.scoring_s; });
  out.compression_s = of([](const Speed& s) { return s.compression_s; });
  out.repeated_prefill_s = of([](const Speed& s) { return s.repeated_prefill_s; });
  for (std::size_t i = 0; i < std::size(kRatios); ++i) {
    out.compressed_decode_s[i] = of([i](const Speed& s) { return s.compressed_decode_s[i]; });
    out.ratio_achieved[i] = of([i](const Speed& s) { return s.ratio_achieved[i]; });
  }
  return out;
}

int bench(std::vector<std::string> args) {
  const bool json = take_flag(args, "--json");
  const std::string path =
      take_value(args, "--model", std::getenv("PERMUTATION_MODEL") ? std::getenv("PERMUTATION_MODEL") : "");
  const int threads =
      std::stoi(take_value(args, "--threads", std::to_string(std::thread::hardware_concurrency())));
  const int repeats = std::stoi(take_value(args, "--repeats", "3"));
  const auto contexts = split(take_value(args, "--contexts", "512,2048,4096,6144,8192"));
  if (path.empty() || !args.empty()) {
    fmt::print(stderr,
               "usage: bench decode --model GGUF [--threads N] [--repeats N] [--contexts A,B] [--json]\n");
    return 2;
  }
  auto transformer = model::Transformer::load(path, threads, {});
  auto plain = LlamaReference::load(path, {.threads = threads});
  auto flash = LlamaReference::load(path, {.threads = threads, .flash_attention = true});
  for (const auto* error : {transformer ? nullptr : &transformer.error(), plain ? nullptr : &plain.error(),
                            flash ? nullptr : &flash.error()}) {
    if (error != nullptr) {
      fmt::print(stderr, "{}\n", error->message);
      return 1;
    }
  }
  const int vocabulary = (*transformer)->hparams().vocabulary;
  Ours ours(std::move(*transformer), 512U << 20, threads);
  Result result{.name = "decode", .seed = 1, .rows = {}, .targets = {}};
  for (const std::string& each : contexts) {
    const int context = std::stoi(each);
    // The last tokens of the context are decoded.
    const int depth = context - kDecodeTokens;
    const auto tokens = some_tokens(context, vocabulary);
    std::vector<Speed> mine, theirs_plain, theirs_flash;
    for (int i = 0; i < repeats; ++i) {
      progress(fmt::format("context {}: run {} of {}", context, i + 1, repeats));
      mine.push_back(ours.run(tokens, depth));
      theirs_plain.push_back(run(**plain, tokens, depth));
      theirs_flash.push_back(run(**flash, tokens, depth));
    }
    const Speed us = median_of(mine), a = median_of(theirs_plain), b = median_of(theirs_flash);
    const double llama_decode = 1 / std::min(a.decode_s, b.decode_s);
    const double llama_prefill = depth / std::min(a.prefill_s, b.prefill_s);
    nlohmann::ordered_json row = {{"context", context}, {"kv", "exact"}, {"threads", threads}};
    row["tokens_per_s"] = 1 / us.decode_s;
    row["llama_cpp_tokens_per_s"] = llama_decode;
    row["ratio_vs_llama_cpp"] = 1 / us.decode_s / llama_decode;
    row["prefill_tokens_per_s"] = depth / us.prefill_s;
    row["prefill_llama_cpp_tokens_per_s"] = llama_prefill;
    row["prefill_ratio_vs_llama_cpp"] = depth / us.prefill_s / llama_prefill;
    row["llama_cpp_best_decode"] = a.decode_s < b.decode_s ? "f16" : "f16 flash";
    const double asked = context == 8192 ? 2.0 : 1.0;
    const double asked_prefill = context == 8192 ? 1.5 : 1.0;
    const double ratio = row["ratio_vs_llama_cpp"];
    const double prefill_ratio = row["prefill_ratio_vs_llama_cpp"];
    result.targets.push_back({fmt::format("decode against llama.cpp at {}, exact", context),
                              fmt::format(">= {}x", asked), ratio, ratio >= asked});
    result.targets.push_back({fmt::format("prefill against llama.cpp at {}", context),
                              fmt::format(">= {}x", asked_prefill), prefill_ratio,
                              prefill_ratio >= asked_prefill});
    const double scoring = us.scoring_s / us.prefill_s, compression = us.compression_s / us.prefill_s;
    const double reuse = us.prefill_s / us.repeated_prefill_s;
    row["scoring_share_of_prefill"] = scoring;
    row["compression_share_of_prefill"] = compression;
    row["prefix_reuse_speedup"] = reuse;
    if (context == 8192) {
      result.targets.push_back(
          {"scoring by the question, share of an 8K prefill", "<= 0.05", scoring, scoring <= 0.05});
      result.targets.push_back({"compressing an 8K prompt to 1/8, share of its prefill", "<= 0.03",
                                compression, compression <= 0.03});
    }
    if (context >= 6144)
      result.targets.push_back(
          {fmt::format("first token of a repeated prefix of {} tokens, against cold", depth), ">= 20x", reuse,
           reuse >= 20});
    row["kv_ratio_achieved"] = 1.0;
    result.rows.push_back(row);
    for (std::size_t i = 0; i < std::size(kRatios); ++i) {
      row["kv"] = fmt::format("{}x", kRatios[i]);
      row["tokens_per_s"] = 1 / us.compressed_decode_s[i];
      row["ratio_vs_llama_cpp"] = 1 / us.compressed_decode_s[i] / llama_decode;
      row["kv_ratio_achieved"] = us.ratio_achieved[i];
      result.rows.push_back(row);
      if (context != 8192) continue;
      const double compressed = row["ratio_vs_llama_cpp"];
      const double wanted = kRatios[i] == 8 ? 3 : 4;
      result.targets.push_back({fmt::format("decode against llama.cpp at {}, {}x", context, kRatios[i]),
                                fmt::format(">= {}x", wanted), compressed, compressed >= wanted});
    }
  }
  print(result, json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench({argv + 1, argv + argc});
}
