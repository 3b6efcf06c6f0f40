// ./dev eval logits [--data DIR | --text FILE]: does our graph compute what libllama computes?
//
// Two readings of the same weights. As f32, where no activation is quantised on the way, the two must agree
// to rounding: that is the proof that the graph is right. As shipped (Q4_1), every matmul rounds its input to
// 8 bits, and a difference in the last bit of one attention sum becomes a different rounding further on:
// there libllama doesn't agree with itself between its two attention kernels, and that disagreement, measured
// beside, is the yardstick.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "lab/llama_reference.h"
#include "lab/measure.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::evals {
using namespace lab;
namespace {

constexpr int kAgreementTokens = 2000;
constexpr int kWindowTokens = 2048;  // that perplexity reads at a time
constexpr int kGreedyTokens = 32;
/// Tokens whose logits are held at once: a vocabulary of 262,144 takes a MiB for each.
constexpr std::size_t kHeldTokens = 256;

const char* const kPrompts[] = {"The lighthouse keeper wrote in his log that",
                                "To bake a simple loaf of bread, first",
                                "def fibonacci(n):",
                                "The three largest oceans on Earth are",
                                "Dear Mrs. Alder, thank you for",
                                "A prime number is a number that",
                                "In the year 1850, the small harbour town",
                                "SELECT name, price FROM",
                                "The recipe needs two eggs, some flour and",
                                "Water boils at a temperature of",
                                "Once upon a time, a fox and a heron",
                                "The main difference between a lake and a river",
                                "Step 1: unplug the machine. Step 2:",
                                "My favourite season is autumn because",
                                "The opposite of hot is",
                                "List of fruits: apple, pear,",
                                "He opened the old wooden box and found",
                                "Photosynthesis is the process by which",
                                "The train to the coast leaves at",
                                "If x plus three equals ten, then x"};

class Ours {
 public:
  static base::Result<Ours> load(const std::string& path, int threads) {
    Ours out;
    TRY_ASSIGN(out.transformer_, model::Transformer::load(path, threads, {}));
    TRY_ASSIGN(out.pool_, out.transformer_->make_pool(512U << 20));
    out.sequence_ =
        std::make_unique<kv_cache::SequenceKv>(*out.pool_, out.transformer_->hparams().kv_shape());
    return out;
  }

  void clear() { sequence_->clear(); }

  std::vector<float> logits_of_all(std::span<const std::int32_t> tokens) {
    std::vector<float> out;
    for (std::size_t at = 0; at < tokens.size(); at += 512) {
      const auto chunk = tokens.subspan(at, std::min<std::size_t>(512, tokens.size() - at));
      model::BatchSpan span{sequence_.get(), chunk, {}};
      for (int i = 0; i < static_cast<int>(chunk.size()); ++i) span.output_rows.push_back(i);
      const auto logits = forward(span);
      out.insert(out.end(), logits.begin(), logits.end());
      sequence_->drop_unseen();
    }
    return out;
  }

  std::span<const float> read(std::span<const std::int32_t> tokens) {
    model::BatchSpan span{sequence_.get(), tokens, {static_cast<int>(tokens.size()) - 1}};
    return forward(span);
  }

 private:
  std::span<const float> forward(model::BatchSpan& span) {
    const auto logits = transformer_->forward(*pool_, {&span, 1});
    if (!logits) {
      progress(logits.error().message);
      std::exit(1);
    }
    return *logits;
  }

  std::unique_ptr<model::Transformer> transformer_;
  std::unique_ptr<kv_cache::PagePool> pool_;
  std::unique_ptr<kv_cache::SequenceKv> sequence_;
};

/// How two readings' logits differ, gathered chunk by chunk.
struct Agreement {
  double error_max = 0, error_sum = 0, values = 0, top1_rows = 0, rows = 0;
  double error_mean() const { return error_sum / values; }
  double top1() const { return top1_rows / rows; }

  void add(const std::vector<float>& a, const std::vector<float>& b, int vocabulary) {
    const std::size_t width = static_cast<std::size_t>(vocabulary);
    for (std::size_t row = 0; row < a.size() / width; ++row) {
      const float* x = a.data() + row * width;
      const float* y = b.data() + row * width;
      for (std::size_t i = 0; i < width; ++i) {
        const double error = std::fabs(double{x[i]} - y[i]);
        error_max = std::max(error_max, error);
        error_sum += error;
      }
      top1_rows += std::max_element(x, x + width) - x == std::max_element(y, y + width) - y ? 1 : 0;
      rows += 1;
    }
    values += static_cast<double>(a.size());
  }
};

/// Sum of -log p(next token): row i of the logits speaks of next[i].
double negative_log_likelihood(const std::vector<float>& logits, std::span<const std::int32_t> next,
                               int vocabulary) {
  double total = 0;
  const std::size_t width = static_cast<std::size_t>(vocabulary);
  for (std::size_t row = 0; row < next.size(); ++row) {
    const float* x = logits.data() + row * width;
    const float top = *std::max_element(x, x + width);
    double sum = 0;
    for (std::size_t i = 0; i < width; ++i) sum += std::exp(double{x[i]} - top);
    total += std::log(sum) + top - x[next[row]];
  }
  return total;
}

/// The same of a whole text, read by `reader`.
template <class Reader>
double read_for_likelihood(Reader& reader, std::span<const std::int32_t> tokens, int vocabulary) {
  double total = 0;
  for (std::size_t at = 0; at < tokens.size(); at += kHeldTokens) {
    const auto chunk = tokens.subspan(at, std::min(kHeldTokens, tokens.size() - at));
    const auto next = tokens.subspan(at + 1, std::min(kHeldTokens, tokens.size() - at - 1));
    total += negative_log_likelihood(reader.logits_of_all(chunk), next, vocabulary);
  }
  return total;
}

struct Greedy {
  int equal = 0;      // the same 32 tokens
  int excused = 0;    // parted where the two best logits are closer than the numerical error
  int different = 0;  // parted elsewhere
};

Greedy compare_greedy(Ours& ours, LlamaReference& llama, const model::Vocab& vocab, int prompts,
                      double error_max) {
  Greedy out;
  for (int p = 0; p < prompts; ++p) {
    std::vector<std::int32_t> next = vocab.tokenize(kPrompts[p], {.add_special = true});
    ours.clear();
    llama.clear();
    bool parted = false;
    for (int i = 0; i < kGreedyTokens && !parted; ++i) {
      const auto a = ours.read(next);
      const auto b = llama.read(next);
      const auto mine = std::max_element(a.begin(), a.end()) - a.begin();
      const auto best = std::max_element(b.begin(), b.end());
      if (mine != best - b.begin()) {
        parted = true;
        (*best - b[static_cast<std::size_t>(mine)] <= 2 * error_max ? out.excused : out.different)++;
      }
      next = {static_cast<std::int32_t>(mine)};
      if (vocab.is_eog(next[0])) break;
    }
    out.equal += parted ? 0 : 1;
  }
  return out;
}

base::Result<std::string> text_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return base::Error{
        base::Code::kNotFound,
        fmt::format(
            "{} is missing: --data DIR names the folder that holds gutenberg/ (public-domain books) and "
            "wikitext2/ (WikiText-2's validation text)",
            path)};
  }
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Setting {
  std::string weights;  // "f32" or "as shipped"
  std::string path;
  bool graph_proof = false;
};

class Evaluation {
 public:
  Evaluation(const model::Vocab& vocab, int prompts, int threads)
      : vocab_(vocab), prompts_(prompts), threads_(threads) {}

  base::Status agreement(const Setting& setting, std::span<const std::int32_t> tokens) {
    TRY_ASSIGN(Ours ours, Ours::load(setting.path, threads_));
    TRY_ASSIGN(auto plain, LlamaReference::load(setting.path, {.threads = threads_}));
    progress(fmt::format("{}: logits of {} tokens, ours and libllama's", setting.weights, tokens.size()));
    TRY_ASSIGN(auto flash,
               LlamaReference::load(setting.path, {.threads = threads_, .flash_attention = true}));
    Agreement found, itself;
    for (std::size_t at = 0; at < tokens.size(); at += kHeldTokens) {
      const auto chunk = tokens.subspan(at, std::min(kHeldTokens, tokens.size() - at));
      const auto theirs = plain->logits_of_all(chunk);
      found.add(ours.logits_of_all(chunk), theirs, vocab_.size());
      itself.add(flash->logits_of_all(chunk), theirs, vocab_.size());
    }
    add(setting.weights, "ours", "libllama", found, static_cast<int>(tokens.size()));
    const double error = found.error_max;
    {
      add(setting.weights, "libllama, flash attention", "libllama", itself, static_cast<int>(tokens.size()));
      if (setting.graph_proof) {
        target("top-1 agreement, f32 weights", ">= 0.995", found.top1(), found.top1() >= 0.995);
      } else {
        target("top-1 agreement, as shipped", ">= 0.995", found.top1(), found.top1() >= 0.995);
        target("the same, less libllama's agreement with itself", ">= 0 - 0.01 of sampling noise",
               found.top1() - itself.top1(), found.top1() >= itself.top1() - 0.01);
      }
    }
    progress(fmt::format("{}: top-1 {:.4f}, error {:.4f} at most; greedy text of {} prompts", setting.weights,
                         found.top1(), error, prompts_));
    const Greedy greedy = compare_greedy(ours, *plain, vocab_, prompts_, error);
    result_.rows.push_back({{"what", fmt::format("greedy, 32 tokens, {} prompts", prompts_)},
                            {"weights", setting.weights},
                            {"ours", "equal " + std::to_string(greedy.equal)},
                            {"against", "libllama"},
                            {"tokens", kGreedyTokens * prompts_},
                            {"error_max", error},
                            {"error_mean", nullptr},
                            {"top1", nullptr},
                            {"perplexity", nullptr}});
    target("greedy texts that part where the best logits differ by more than the error, " + setting.weights,
           "0", greedy.different, greedy.different == 0);
    if (setting.graph_proof) {
      target("greedy texts equal, f32 weights",
             fmt::format("{}, less near ties ({})", prompts_, greedy.excused), greedy.equal,
             greedy.equal + greedy.excused == prompts_);
    }
    return {};
  }

  base::Status perplexity(const std::string& path, std::span<const std::int32_t> tokens,
                          std::size_t window_tokens) {
    TRY_ASSIGN(Ours ours, Ours::load(path, threads_));
    TRY_ASSIGN(auto llama, LlamaReference::load(path, {.threads = threads_}));
    double mine = 0, theirs = 0;
    std::size_t scored = 0;
    for (std::size_t at = 0; at + window_tokens <= tokens.size(); at += window_tokens) {
      progress(fmt::format("perplexity: tokens {} to {}", at, at + window_tokens));
      const auto window = tokens.subspan(at, window_tokens);
      ours.clear();
      llama->clear();
      mine += read_for_likelihood(ours, window, vocab_.size());
      theirs += read_for_likelihood(*llama, window, vocab_.size());
      scored += window.size() - 1;
    }
    const double a = std::exp(mine / static_cast<double>(scored));
    const double b = std::exp(theirs / static_cast<double>(scored));
    for (const auto& [who, value] : {std::pair{"ours", a}, std::pair{"libllama", b}}) {
      result_.rows.push_back({{"what", "perplexity"},
                              {"weights", "as shipped"},
                              {"ours", who},
                              {"against", nullptr},
                              {"tokens", scored},
                              {"error_max", nullptr},
                              {"error_mean", nullptr},
                              {"top1", nullptr},
                              {"perplexity", value}});
    }
    target("perplexity over libllama's, minus 1", "within 0.005", a / b - 1, std::fabs(a / b - 1) <= 0.005);
    return {};
  }

  const Result& result() const { return result_; }

 private:
  void add(const std::string& weights, const std::string& who, const std::string& against,
           const Agreement& found, int tokens) {
    result_.rows.push_back({{"what", "logits"},
                            {"weights", weights},
                            {"ours", who},
                            {"against", against},
                            {"tokens", tokens},
                            {"error_max", found.error_max},
                            {"error_mean", found.error_mean()},
                            {"top1", found.top1()},
                            {"perplexity", nullptr}});
  }
  void target(std::string what, std::string asked, double measured, bool holds) {
    result_.targets.push_back({std::move(what), std::move(asked), measured, holds});
  }

  const model::Vocab& vocab_;
  int prompts_;  // of kPrompts
  int threads_;
  Result result_{.name = "logits", .seed = 0, .rows = {}, .targets = {}};
};

/// The same weights as f32, in a file for the moment.
base::Status prove_graph(const std::string& model_path, std::span<const std::int32_t> tokens, int threads,
                         Evaluation& evaluation) {
  const auto f32 = std::filesystem::temp_directory_path() / fmt::format("permutation-f32-{}.gguf", getpid());
  progress("dequantising the weights to f32");
  TRY(write_dequantised(model_path, f32.string(), threads));
  const base::Status proof = evaluation.agreement({"f32", f32.string(), true}, tokens);
  std::filesystem::remove(f32);
  return proof;
}

struct Options {
  std::string model, data, text;
  int tokens = 0, prompts = 0, windows = 0, window_tokens = 0, threads = 0;
  bool shipped_only = false, json = false;
};

/// What is read for agreement, and what for perplexity.
base::Result<std::pair<std::string, std::string>> texts(const Options& options) {
  std::pair<std::string, std::string> out;
  const bool own = !options.text.empty();
  TRY_ASSIGN(out.first, text_of(own ? options.text : options.data + "/gutenberg/tinyshakespeare.txt"));
  TRY_ASSIGN(out.second, text_of(own ? options.text : options.data + "/wikitext2/valid.txt"));
  return out;
}

base::Status evaluate(const Options& options) {
  TRY_ASSIGN(auto vocab, model::Vocab::load(options.model));
  TRY_ASSIGN(const auto read, texts(options));
  auto tokens = vocab->tokenize(std::string_view(read.first).substr(0, 20000), {});
  tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(options.tokens)));
  auto scored = vocab->tokenize(std::string_view(read.second).substr(0, 200000), {});
  const auto window_tokens = static_cast<std::size_t>(options.window_tokens);
  scored.resize(std::min(scored.size(), static_cast<std::size_t>(options.windows) * window_tokens));
  if (options.windows > 0 && scored.size() < window_tokens)
    return base::invalid(
        fmt::format("the text has {} tokens, one --window {}", scored.size(), window_tokens));

  Evaluation evaluation(*vocab, options.prompts, options.threads);
  if (!options.shipped_only) TRY(prove_graph(options.model, tokens, options.threads, evaluation));
  TRY(evaluation.agreement({"as shipped", options.model, false}, tokens));
  if (options.windows > 0) TRY(evaluation.perplexity(options.model, scored, window_tokens));
  print(evaluation.result(), options.json);
  return {};
}

int main_of(std::vector<std::string> args) {
  const auto number = [&](const char* name, int otherwise) {
    return std::stoi(take_value(args, name, std::to_string(otherwise)));
  };
  const char* model = std::getenv("PERMUTATION_MODEL");
  Options options;
  options.json = take_flag(args, "--json");
  options.shipped_only = take_flag(args, "--shipped-only");
  options.model = take_value(args, "--model", model != nullptr ? model : "");
  options.data = take_value(args, "--data", "data");
  options.text = take_value(args, "--text", "");
  options.tokens = number("--tokens", kAgreementTokens);
  options.prompts = std::clamp(number("--prompts", 20), 0, static_cast<int>(std::size(kPrompts)));
  options.windows = number("--windows", 8);
  options.window_tokens = number("--window", kWindowTokens);
  options.threads = number("--threads", static_cast<int>(std::thread::hardware_concurrency()));
  if (options.model.empty() || !args.empty()) {
    fmt::print(
        stderr,
        "usage: eval logits --model GGUF [--data DIR | --text FILE] [--tokens N] [--prompts N] [--windows N] "
        "[--window TOKENS] [--threads N] [--shipped-only] [--json]\n"
        "  --text: read this instead of --data's texts; --shipped-only: no proof with f32 weights\n");
    return 2;
  }
  const base::Status done = evaluate(options);
  if (!done) fmt::print(stderr, "{}\n", done.error().message);
  return done ? 0 : 1;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::main_of({argv + 1, argv + argc});
}
