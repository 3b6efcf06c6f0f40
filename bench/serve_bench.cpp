// ./dev bench serve [--model NAME|FILE] [--context TOKENS] [--prompt TOKENS] [--answer TOKENS] [--exact-only] [--json]:
// many answers at once in a fixed memory for keys and values, that of eight f16 sequences of 6K tokens. Exact, eight
// fit; compressed, as many as hold no more. Every one is a request to the engine, and holds pages of its own
// (serve_steady.h). Measured is the steady state, as the answers report it: each step gives every sequence one token.
// llama.cpp runs its eight in the same process, with and without flash attention; the ratio is against the better.
//
// Beside each: the bytes that a step must read (weights once, pages once) over the memory bandwidth measured
// here, and the multiplications that it must do over the rate measured here for the same kernels on a full
// batch; the greater of the two is the roofline, its share of the measured time roofline_share.
//
// Then the same end to end, prompts read and answers written by the whole engine, in the memory of eight f16
// sequences of --prompt and --answer tokens.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bench/serve_end_to_end.h"
#include "bench/serve_steady.h"
#include "lab/measure.h"
#include "lab/read_bandwidth.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kCompressedRequests = 32;  // end to end, in the memory of eight exact ones
constexpr int kContextMin = 128;
struct Asked {
  double ratio = 1;
  double of_default = 0;  // times llama.cpp, of the default model
  double of_others = 0;   // of larger models, whose products take a larger part of a step
};
constexpr Asked kAsked[] = {{1, 2, 2}, {8, 4, 4}, {64, 7, 6}};

/// What this machine can do at best.
struct Rates {
  double read = 0;    // bytes a second
  double matmul = 0;  // tokens a second
  double weight_bytes = 0;
};

nlohmann::ordered_json row_of(const char* what, double ratio, int concurrent, double rate, double llama) {
  return {{"what", what},
          {"kv_ratio", ratio},
          {"concurrent", concurrent},
          {"tokens_per_s", rate},
          {"llama_cpp_tokens_per_s", llama},
          {"ratio_vs_llama_cpp", rate / llama}};
}

Rates measure_steady(const SteadyOptions& options, bool is_default, Result& result) {
  SteadyDecode ours(options);
  const Rates rates{.read = read_bandwidth(options.threads),
                    .matmul = ours.matmul_rate(),
                    .weight_bytes = ours.weight_bytes()};
  double llama = 0;
  for (const bool flash : {false, true}) {
    progress(fmt::format("llama.cpp, flash attention {}", flash ? "on" : "off"));
    llama = std::max(llama, llama_steady(options, flash));
  }
  for (const Asked& asked : kAsked) {
    const double ratio = asked.ratio;
    if (options.exact_only && ratio > 1) continue;
    const double wanted = is_default ? asked.of_default : asked.of_others;
    progress(fmt::format("ours at {}x", ratio));
    const SteadyOutcome outcome = ours.run(ratio);
    const double rate = outcome.sequences / outcome.step_s;
    const double bytes = outcome.kv_bytes + rates.weight_bytes;
    const double roofline_s = std::max(bytes / rates.read, outcome.sequences / rates.matmul);
    auto row = row_of("steady decode", ratio, outcome.sequences, rate, llama);
    row["kv_bytes"] = outcome.kv_bytes;
    row["step_ms"] = outcome.step_s * 1000;
    row["memory_roofline_ms"] = bytes / rates.read * 1000;
    row["matmul_roofline_ms"] = outcome.sequences / rates.matmul * 1000;
    row["roofline_share"] = roofline_s / outcome.step_s;
    result.rows.push_back(row);
    result.targets.push_back({fmt::format("steady decode against llama.cpp's eight, {}x", ratio),
                              fmt::format(">= {}x", wanted), rate / llama, rate / llama >= wanted});
  }
  return rates;
}

void measure_end_to_end(const EndToEndLoad& eight, bool exact_only, const Rates& rates, Result& result) {
  double llama = 0;
  for (const bool flash : {false, true}) {
    progress(fmt::format("end to end: llama.cpp, flash attention {}", flash ? "on" : "off"));
    const EndToEndTime time = llama_requests(eight, flash);
    llama = std::max(llama, static_cast<double>(time.new_tokens) / time.seconds);
  }
  for (const Asked& asked : kAsked) {
    const double ratio = asked.ratio;
    if (exact_only && ratio > 1) continue;
    EndToEndLoad load = eight;
    load.kv_ratio = ratio;
    load.requests = ratio > 1 ? kCompressedRequests : kExactSequences;
    progress(fmt::format("end to end: ours at {}x, {} requests", ratio, load.requests));
    const EndToEndTime time = our_requests(load);
    // Prompts at the rate of a full batch; then every token's multiplications, or reading the weights a step.
    const double read_s = load.prompt_tokens * load.requests / rates.matmul;
    const double step_s = std::max(load.requests / rates.matmul, rates.weight_bytes / rates.read);
    auto row = row_of("end to end", ratio, load.requests, static_cast<double>(time.new_tokens) / time.seconds,
                      llama);
    row["kv_bytes"] = time.kv_bytes;
    for (const char* steady : {"step_ms", "memory_roofline_ms", "matmul_roofline_ms"}) row[steady] = nullptr;
    row["roofline_share"] = (read_s + load.new_tokens * step_s) / time.seconds;
    result.rows.push_back(row);
  }
}

int run(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const bool exact_only = take_flag(args, "--exact-only");  // calibrates nothing
  const char* const given = std::getenv("PERMUTATION_MODEL");
  const std::string path = take_value(args, "--model", given == nullptr ? "" : given);
  const int context = std::stoi(take_value(args, "--context", "6144"));
  const int prompt_tokens = std::stoi(take_value(args, "--prompt", "1024"));
  const int answer_tokens = std::stoi(take_value(args, "--answer", "256"));
  if (path.empty() || !args.empty() || context < kContextMin || prompt_tokens < kContextMin ||
      answer_tokens < 2) {
    progress(
        "usage: ./dev bench serve [--model NAME|FILE] [--context TOKENS] [--prompt TOKENS] [--answer TOKENS] "
        "[--exact-only] [--json]; TOKENS of context and prompt from 128 on");
    return 2;
  }
  const int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const ModelFacts facts = facts_of(path);
  Result result;
  result.name = "bench serve";
  result.seed = 1;
  const Rates rates = measure_steady({.model_path = path,
                                      .facts = facts,
                                      .threads = threads,
                                      .context_tokens = context,
                                      .exact_only = exact_only},
                                     given != nullptr && path == given, result);
  measure_end_to_end({.model_path = path,
                      .facts = facts,
                      .threads = threads,
                      .prompt_tokens = prompt_tokens,
                      .new_tokens = answer_tokens},
                     exact_only, rates, result);
  progress(fmt::format("measured here: {:.1f} GB/s read, {:.0f} tokens/s of matmuls", rates.read / 1e9,
                       rates.matmul));
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::run({argv + 1, argv + argc});
}
