#include "compression/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "base/cholesky.h"
#include "base/file.h"
#include "compression/asides.h"
#include "compression/scores.h"
#include "model/sampler.h"

namespace pmt::compression {
namespace {

constexpr int kTextTokens = 900;
constexpr std::size_t kPoolBytes = std::size_t{1} << 30;  // address space; a 135M model uses a quarter
constexpr std::size_t kWrittenAtOnce = 7;
constexpr int kSkipped = 4;  // first tokens: attention sinks, kept anyway
constexpr double kRidge = 1000;
constexpr float kScoreFloor = 1e-5F;
constexpr int kTokensAFact = 180;
constexpr std::size_t kHeldOut = 2;  // one of them alone can be odd: a text is what the model makes of it

/// One text each: prose of several kinds, speech, lists, tables, code. The last ones are held out.
const char* const kLeadIns[] = {
    "The history of the harbour begins with a small fishing village. In the early years,",
    "\"I never meant to leave,\" she said, and put the letter on the table.",
    "Minutes of the meeting. Present: the chair, the treasurer and eleven members. First,",
    "Chapter 3. How plants store energy\n\nPlants make sugar from light, water and air. This",
    "def read_config(path):\n    \"\"\"Read the settings of the service from a file.\"\"\"\n",
    "Dear all, here is the plan for the week. On Monday",
    "The company announced on Tuesday that its new factory will employ",
    "How to repair a bicycle tyre\n\n1. Turn the bicycle over.\n2.",
    "Anna: Did you see the match last night?\nBen:",
    "The treaty was signed after two years of talks. Its first article",
    "Name, town, year of birth\nMaria Lund, Bergen, 1961\n",
    "Patients who took part in the study were asked to",
    "The old man walked down to the river every morning, because",
    "Our terms of service. By using this website you agree that"};

const char* const kFacts[] = {" The number of the {} is {}.",   " Call the {} at {}.",
                              " The {} opened in {}.",          " Item {1} belongs to the {0}.",
                              " The password of the {} is {}.", " {2} looks after the {0}.",
                              " The {0} is on {2} Street.",     " A day at the {0} costs {1} dollars.",
                              " Ask {2} about the {0}."};
const char* const kThings[] = {"north gallery", "blue team",   "Orion office", "ferry terminal",
                               "Becker family", "old archive", "main gate",    "tennis club"};
const char* const kNames[] = {"Marguerite", "Okafor", "Lindqvist", "Tanaka", "Delgado", "Whitcombe"};

using Tokens = std::vector<std::int32_t>;

/// The model goes on from several lead-ins at once, one token a step each. Of a chat model's texts half are
/// in a user's turn.
base::Result<std::vector<Tokens>> write_texts(model::Transformer& transformer, const model::Vocab& vocab,
                                              kv_cache::PagePool& pool,
                                              const std::function<void(float)>& on_progress) {
  const auto width = static_cast<std::size_t>(vocab.size());
  std::vector<Tokens> texts;
  while (texts.size() < std::size(kLeadIns)) {
    const std::size_t first = texts.size();
    std::vector<kv_cache::SequenceKv> sequences;
    std::vector<model::Sampler> samplers;
    for (std::size_t i = first; i < std::min(first + kWrittenAtOnce, std::size(kLeadIns)); ++i) {
      const std::string turn = i / 2 % 2 == 1 && knows_chat_turns(vocab) ? "<|im_start|>user\n" : "";
      texts.push_back(vocab.tokenize(turn + kLeadIns[i], {.add_special = true, .parse_special = true}));
      sequences.emplace_back(pool, transformer.hparams().kv_shape());
      model::SamplerParams params;
      params.temperature = 1;
      params.top_p = 0.95;
      params.top_k = 200;  // sorting all tokens for top_p would take as long as the forward pass
      params.seed = 11;
      params.choice = static_cast<int>(i);
      TRY_ASSIGN(model::Sampler sampler, model::Sampler::create(std::move(params), vocab.size()));
      samplers.push_back(std::move(sampler));
    }
    for (int step = 0; step < kTextTokens; ++step) {
      std::vector<model::BatchSpan> batch;
      for (std::size_t i = 0; i < sequences.size(); ++i) {
        const auto pending =
            std::span(texts[first + i]).subspan(static_cast<std::size_t>(sequences[i].tokens()));
        model::BatchSpan& span = batch.emplace_back();
        span.sequence = &sequences[i];
        span.tokens = pending;
        span.output_rows = {static_cast<int>(pending.size()) - 1};
      }
      TRY_ASSIGN(const auto logits, transformer.forward(pool, batch));
      for (std::size_t i = 0; i < sequences.size(); ++i)
        texts[first + i].push_back(samplers[i].sample(logits.subspan(i * width, width)));
      if (step % 50 == 0 && on_progress) {
        const auto written =
            static_cast<float>(first * kTextTokens + sequences.size() * static_cast<std::size_t>(step));
        on_progress(0.45F * written / static_cast<float>(std::size(kLeadIns) * kTextTokens));
      }
    }
  }
  return texts;
}

void plant_facts(Tokens& text, const model::Vocab& vocab, std::mt19937& rng) {
  for (int left = static_cast<int>(text.size()) / kTokensAFact; left > 0; --left) {
    const auto fact = vocab.tokenize(
        fmt::format(fmt::runtime(kFacts[rng() % std::size(kFacts)]), kThings[rng() % std::size(kThings)],
                    100 + rng() % 99900, kNames[rng() % std::size(kNames)]),
        {.add_special = false});
    const auto at = static_cast<std::ptrdiff_t>(20 + rng() % (text.size() - 40));
    text.insert(text.begin() + at, fact.begin(), fact.end());
  }
}

/// One layer's ridge regression, gathered text by text: inputs [width + 1] (a constant last) to the log
/// scores of its heads.
class Regression {
 public:
  Regression(std::size_t width, std::size_t heads)
      : size_(width + 1), heads_(heads), products_(size_ * size_), answers_(size_ * heads) {}

  void add(const std::vector<float>& input, const std::vector<float>& target) {
    for (std::size_t i = 0; i < size_; ++i) {
      const float x = input[i];
      float* row = products_.data() + i * size_;
      for (std::size_t j = 0; j <= i; ++j) row[j] += x * input[j];
      for (std::size_t h = 0; h < heads_; ++h) answers_[i * heads_ + h] += x * target[h];
    }
    ++count_;
  }

  /// Weights [heads, width + 1] on the inputs as they come; the ridge acts on inputs of unit variance.
  std::vector<float> solve() const {
    std::vector<double> scale(size_, 1.0);
    const auto n = static_cast<double>(count_);
    for (std::size_t i = 0; i + 1 < size_; ++i) {
      const double mean = products_[(size_ - 1) * size_ + i] / n;
      scale[i] = std::sqrt(std::max(0.0, products_[i * size_ + i] / n - mean * mean)) + 1e-6;
    }
    std::vector<double> matrix(size_ * size_);
    for (std::size_t i = 0; i < size_; ++i) {
      for (std::size_t j = 0; j <= i; ++j)
        matrix[i * size_ + j] = products_[i * size_ + j] / (scale[i] * scale[j]);
      matrix[i * size_ + i] += kRidge;
    }
    base::factor_cholesky(matrix.data(), size_);
    std::vector<float> weights(heads_ * size_);
    std::vector<double> x(size_);
    for (std::size_t h = 0; h < heads_; ++h) {
      for (std::size_t i = 0; i < size_; ++i) x[i] = answers_[i * heads_ + h] / scale[i];
      base::solve_cholesky(matrix.data(), size_, x.data());
      for (std::size_t i = 0; i < size_; ++i) weights[h * size_ + i] = static_cast<float>(x[i] / scale[i]);
    }
    return weights;
  }

 private:
  std::size_t size_, heads_;
  std::size_t count_ = 0;
  std::vector<float> products_;  // lower triangle
  std::vector<float> answers_;   // [width + 1, heads]
};

/// A text's attention inputs and the scores that its repetition gives it.
struct Example {
  std::vector<float> inputs;  // [layers, tokens, width]
  kv_cache::ScoreBuffer scores;
  int tokens = 0;
};

base::Result<Example> read_example(model::Transformer& transformer, kv_cache::PagePool& pool,
                                   const Tokens& text, const Tokens& request) {
  Example out;
  out.tokens = static_cast<int>(text.size());
  kv_cache::SequenceKv sequence(pool, transformer.hparams().kv_shape());
  std::vector<model::BatchSpan> batch(1);
  batch[0].sequence = &sequence;
  batch[0].tokens = text;
  batch[0].output_rows = {out.tokens - 1};
  batch[0].attention_inputs = &out.inputs;
  TRY(transformer.forward(pool, batch));
  TRY_ASSIGN(out.scores, score_by_repeating(transformer, pool, sequence, text, request));
  return out;
}

template <class Visit>
void each_row(const Example& example, int layer, int heads, int width, Visit&& visit) {
  std::vector<float> input(static_cast<std::size_t>(width) + 1, 1.0F);
  std::vector<float> target(static_cast<std::size_t>(heads));
  for (int t = kSkipped; t < example.tokens; ++t) {
    const auto row = static_cast<std::ptrdiff_t>(layer) * example.tokens + t;
    std::copy_n(example.inputs.begin() + row * width, width, input.begin());
    for (int h = 0; h < heads; ++h) {
      const auto table = static_cast<std::size_t>(layer * heads + h);
      target[static_cast<std::size_t>(h)] = std::log(
          example.scores.values[table * example.scores.stride + static_cast<std::size_t>(t)] + kScoreFloor);
    }
    visit(input, target);
  }
}

double explained(const Example& example, const model::KvPredictor& predictor, int layers, int heads) {
  double total = 0;
  for (int layer = 0; layer < layers; ++layer) {
    for (int h = 0; h < heads; ++h) {
      const std::size_t size = static_cast<std::size_t>(predictor.width) + 1;
      const float* weights = predictor.weights.data() + static_cast<std::size_t>(layer * heads + h) * size;
      double error = 0, sum = 0, squares = 0, n = 0;
      each_row(example, layer, heads, predictor.width, [&](const auto& input, const auto& target) {
        double guess = 0;
        for (std::size_t i = 0; i < size; ++i) guess += double{weights[i]} * input[i];
        const double want = target[static_cast<std::size_t>(h)];
        error += (guess - want) * (guess - want);
        sum += want;
        squares += want * want;
        n += 1;
      });
      total += 1 - error / std::max(1e-9, squares - sum * sum / n);
    }
  }
  return total / (layers * heads);
}

constexpr char kMagic[8] = {'p', 'm', 't', '-', 'k', 'v', '0', '2'};
struct Header {
  char magic[8];
  std::int64_t file_bytes;
  std::int32_t layers, kv_heads, width, reserved;
  double explained;
};

Header header_of(const model::Transformer& transformer, double explained) {
  const auto& h = transformer.hparams();
  Header out{};
  std::memcpy(out.magic, kMagic, sizeof(kMagic));
  out.file_bytes = transformer.file_bytes();
  out.layers = h.layers;
  out.kv_heads = h.kv_heads;
  out.width = h.hidden;
  out.explained = explained;
  return out;
}

}  // namespace

base::Result<Calibration> calibrate(model::Transformer& transformer, const model::Vocab& vocab,
                                    const std::function<void(float)>& on_progress) {
  const auto& h = transformer.hparams();
  // A pool of its own: the server's may be full of other requests' pages.
  TRY_ASSIGN(const auto own_pool, transformer.make_pool(kPoolBytes));
  kv_cache::PagePool& pool = *own_pool;
  TRY_ASSIGN(auto texts, write_texts(transformer, vocab, pool, on_progress));
  std::mt19937 rng(5);
  for (Tokens& text : texts) plant_facts(text, vocab, rng);
  const Tokens request = asides_for(vocab).repeat;
  std::vector<Regression> regressions(
      static_cast<std::size_t>(h.layers),
      Regression(static_cast<std::size_t>(h.hidden), static_cast<std::size_t>(h.kv_heads)));
  const std::size_t fitted = texts.size() - kHeldOut;
  for (std::size_t i = 0; i < fitted; ++i) {
    TRY_ASSIGN(const Example example, read_example(transformer, pool, texts[i], request));
    for (int layer = 0; layer < h.layers; ++layer) {
      each_row(example, layer, h.kv_heads, h.hidden, [&](const auto& input, const auto& target) {
        regressions[static_cast<std::size_t>(layer)].add(input, target);
      });
    }
    if (on_progress)
      on_progress(0.45F + 0.55F * static_cast<float>(i + 1) / static_cast<float>(texts.size()));
  }
  Calibration out;
  out.predictor.width = h.hidden;
  for (const Regression& regression : regressions) {
    const auto weights = regression.solve();
    out.predictor.weights.insert(out.predictor.weights.end(), weights.begin(), weights.end());
  }
  for (std::size_t i = fitted; i < texts.size(); ++i) {
    TRY_ASSIGN(const Example held_out, read_example(transformer, pool, texts[i], request));
    out.explained += explained(held_out, out.predictor, h.layers, h.kv_heads) / double{kHeldOut};
  }
  if (on_progress) on_progress(1);
  return out;
}

base::Status save(const Calibration& calibration, const model::Transformer& transformer,
                  const std::string& path) {
  std::error_code ignored;  // where there is no folder, writing says so
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const Header header = header_of(transformer, calibration.explained);
  const auto& weights = calibration.predictor.weights;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes.append(reinterpret_cast<const char*>(weights.data()), weights.size() * sizeof(float));
  if (!base::replace_file(path, bytes)) {
    return base::Error{base::Code::kIo, fmt::format("the calibration can't be written to {}", path)};
  }
  return {};
}

base::Result<Calibration> load_calibration(const model::Transformer& transformer, const std::string& path) {
  TRY(base::check_file(path));
  std::ifstream file(path, std::ios::binary);
  Header header{};
  file.read(reinterpret_cast<char*>(&header), sizeof(header));
  const Header want = header_of(transformer, header.explained);
  Calibration out;
  out.explained = header.explained;
  out.predictor.width = want.width;
  out.predictor.weights.resize(static_cast<std::size_t>(want.layers * want.kv_heads) *
                               static_cast<std::size_t>(want.width + 1));
  if (file && std::memcmp(&header, &want, sizeof(want)) == 0) {
    file.read(reinterpret_cast<char*>(out.predictor.weights.data()),
              static_cast<std::streamsize>(out.predictor.weights.size() * sizeof(float)));
    const bool finite = std::all_of(out.predictor.weights.begin(), out.predictor.weights.end(),
                                    [](float x) { return std::isfinite(x); });
    if (file && finite && file.peek() == std::ifstream::traits_type::eof()) return out;
  }
  return base::Error{base::Code::kCorrupt, path + " is not a calibration of this model: delete it"};
}

base::Result<Calibration> load_or_calibrate(model::Transformer& transformer, const model::Vocab& vocab,
                                            const std::string& path,
                                            const std::function<void(float)>& on_progress,
                                            const std::function<void(const std::string&)>& warn) {
  if (!path.empty()) {
    auto stored = load_calibration(transformer, path);
    if (stored) return stored;
    if (stored.error().code != base::Code::kNotFound) warn(stored.error().message + "; calibrating again");
  }
  TRY_ASSIGN(Calibration made, calibrate(transformer, vocab, on_progress));
  if (!path.empty()) {
    if (const auto saved = save(made, transformer, path); !saved) warn(saved.error().message);
  }
  return made;
}

}  // namespace pmt::compression
