// ./dev bench decode: one sequence, prefill and decoding, ours and llama.cpp's in one process, on the same
// file, threads and context, alternating so that a drift of the machine's speed hits both. Ours is asked by ordinary
// requests, and its times are those that its answers report. llama.cpp runs with each of its KV settings (f16 with
// and without flash attention); the ratio is against the best of them. read_roofline_share: what a token reads (the
// file, since these models' output matrix is their embedding, and the keys and values), over what this machine reads
// in the same run, of the time that it took.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "engine/local_engine.h"
#include "engine/shipped_calibration.h"
#include "lab/llama_reference.h"
#include "lab/measure.h"
#include "lab/read_bandwidth.h"
#include "llm/sinks.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kDecodeTokens = 32;
constexpr std::size_t kPoolBytes = std::size_t{1} << 30;

constexpr double kRatios[] = {8, 64};

struct Speed {
  double prefill_s = 0;
  double decode_s = 0;                 // per token
  double kv_bytes = 0;                 // exact
  double bandwidth = 0;                // bytes a second that can be read, measured beside it
  double compressed_decode_s[2] = {};  // at kRatios
  double ratio_achieved[2] = {};
  double compression_s = 0;       // reading the question and compressing what was read before, at kRatios[0]
  double repeated_prefill_s = 0;  // the same prompt again, from the prefix index
};

class Ours {
 public:
  Ours(const std::string& path, int threads, std::span<const double> ratios) : ratios_(ratios) {
    inference::LocalModelOptions model;
    model.name = "model";
    model.path = path;
    model.threads = threads;
    model.kv_bytes_max = kPoolBytes;
    model.prefix_bytes_max = kPoolBytes / 2;
    model.calibrates_first = !ratios.empty();  // not in the measured time
    engine::find_calibration(model);
    model.on_warning = progress;
    engine_ = need(engine::LocalEngine::open({.models = {std::move(model)}}, clock_));
  }

  /// Requests of one run share prefixes, runs don't.
  Speed run(const std::vector<std::int32_t>& tokens, int depth) {
    ++runs_;
    Speed speed;
    const Answered exact = ask(tokens, depth, {1, llm::KvMode::kExact});
    speed.prefill_s = exact.prefill_s;
    speed.decode_s = exact.token_s;
    speed.kv_bytes = exact.kv_bytes;
    speed.repeated_prefill_s = ask(tokens, depth, {1, llm::KvMode::kExact}).prefill_s;
    for (std::size_t i = 0; i < ratios_.size(); ++i) {
      const Answered compressed = ask(tokens, depth, {ratios_[i], llm::KvMode::kQueryAware});
      if (i == 0) speed.compression_s = compressed.prefill_s;
      speed.ratio_achieved[i] = compressed.ratio;
      speed.compressed_decode_s[i] = compressed.token_s;
    }
    return speed;
  }

 private:
  struct Answered {
    double prefill_s = 0, token_s = 0, ratio = 1, kv_bytes = 0;
  };
  Answered ask(const std::vector<std::int32_t>& tokens, int depth, llm::KvOptions kv) {
    llm::Request request;
    request.id = "bench";
    request.endpoint = llm::Endpoint::kCompletions;
    request.prompt_tokens.assign(tokens.begin(), tokens.begin() + depth);
    request.max_tokens = kDecodeTokens + 1;  // the first one comes with the prefill
    request.ignore_eos = true;
    request.sampling.temperature = 0;
    request.speculation = llm::Speculation::kOff;
    request.tenant = fmt::format("run {}", runs_);
    request.kv = kv;
    const auto sink = std::make_shared<llm::CollectingSink>();
    engine_->models()[0].completer().start(std::move(request), sink, {});
    const auto events = sink->wait();
    if (const auto* failed = std::get_if<llm::Failed>(&events.back())) fail(failed->error.message);
    const auto& done = std::get<llm::Done>(events.back());
    const llm::Report& report = done.report;
    constexpr double kMs = 1e-3;
    const double steps = std::max<double>(1, static_cast<double>(done.usage.completion_tokens) - 1);
    return {report.timing->prefill_ms * kMs, report.timing->decode_ms * kMs / steps,
            report.kv->ratio_achieved, static_cast<double>(report.kv->bytes)};
  }

  std::span<const double> ratios_;
  base::SystemClock clock_;
  std::unique_ptr<engine::LocalEngine> engine_;
  int runs_ = 0;
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
  out.kv_bytes = of([](const Speed& s) { return s.kv_bytes; });
  out.bandwidth = of([](const Speed& s) { return s.bandwidth; });
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
  const auto ratios = take_flag(args, "--exact") ? std::span<const double>() : std::span(kRatios);
  if (path.empty() || !args.empty()) {
    fmt::print(stderr,
               "usage: bench decode --model GGUF [--threads N] [--repeats N] [--contexts A,B] [--json]\n"
               "                    [--exact]: nothing compressed, so the model needs no calibration\n");
    return 2;
  }
  auto plain = LlamaReference::load(path, {.threads = threads});
  auto flash = LlamaReference::load(path, {.threads = threads, .flash_attention = true});
  for (const auto* error : {plain ? nullptr : &plain.error(), flash ? nullptr : &flash.error()}) {
    if (error != nullptr) {
      fmt::print(stderr, "{}\n", error->message);
      return 1;
    }
  }
  Ours ours(path, threads, ratios);
  const int vocabulary = (*plain)->vocabulary();
  const auto file_bytes = static_cast<double>(std::filesystem::file_size(path));
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
      mine.back().bandwidth = read_bandwidth(threads);
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
    row["read_roofline_share"] = (file_bytes + us.kv_bytes) / us.bandwidth / us.decode_s;
    row["read_bytes_per_s"] = us.bandwidth;
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
    const double compression = ratios.empty() ? 0 : us.compression_s / us.prefill_s;
    const double reuse = us.prefill_s / us.repeated_prefill_s;
    if (!ratios.empty()) row["compression_share_of_prefill"] = compression;
    row["prefix_reuse_speedup"] = reuse;
    if (context == 8192 && !ratios.empty()) {
      result.targets.push_back(
          {"scoring by the question and compressing an 8K prompt to 1/8, share of its prefill", "<= 0.08",
           compression, compression <= 0.08});
    }
    if (context >= 6144)
      result.targets.push_back(
          {fmt::format("first token of a repeated prefix of {} tokens, against cold", depth), ">= 20x", reuse,
           reuse >= 20});
    row["kv_ratio_achieved"] = 1.0;
    result.rows.push_back(row);
    for (std::size_t i = 0; i < ratios.size(); ++i) {
      row["kv"] = fmt::format("{}x", ratios[i]);
      row.erase("read_roofline_share");
      row["tokens_per_s"] = 1 / us.compressed_decode_s[i];
      row["ratio_vs_llama_cpp"] = 1 / us.compressed_decode_s[i] / llama_decode;
      row["kv_ratio_achieved"] = us.ratio_achieved[i];
      result.rows.push_back(row);
      if (context != 8192) continue;
      const double compressed = row["ratio_vs_llama_cpp"];
      const double wanted = ratios[i] == 8 ? 3 : 4;
      result.targets.push_back({fmt::format("decode against llama.cpp at {}, {}x", context, ratios[i]),
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
