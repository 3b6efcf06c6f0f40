// ./dev eval compression [--data DIR] [--tasks A,B] [--ratios 1,8] [--items N] [--seed S] [--json]: what
// compressed keys and values cost in answers.
//
// Each item's context is read once, exact; then, for every mode and ratio, it is compressed and its questions
// are put to it. A question counts as solved when the model's own greedy answer has the wanted words in it
// (what a user would look for). As the issue asks, accuracy is over the questions that the full cache solves;
// beside it stands the gold answer's mean log-probability over all. Perplexity is kept as full / compressed.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "compression_tasks.h"
#include "inference/kv_calibration.h"
#include "inference/kv_scores.h"
#include "kv_cache/eviction.h"
#include "measure.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::bench {
namespace {

constexpr int kChunk = 512;
constexpr std::size_t kFreeTokens = 24;  // that a free answer may have beyond the gold one's

/// One question under one setting.
struct Answer {
  bool solved = false;
  double logprob = 0;  // mean over the gold tokens
  int agreed = 0;      // gold tokens whose first choice is the full cache's
  std::vector<std::int32_t> choices;
  double ratio = 1;
};

struct Setting {
  std::string mode;
  double ratio;
  bool operator<(const Setting& o) const { return std::tie(mode, ratio) < std::tie(o.mode, o.ratio); }
};

template <class T>
T need(base::Result<T> result) {
  if (!result) {
    progress("error: " + result.error().message);
    std::exit(1);
  }
  return std::move(*result);
}
void need(const base::Status& status) {
  if (!status) {
    progress("error: " + status.error().message);
    std::exit(1);
  }
}

/// " in lower case, one space between words and around them ".
std::string words_of(const std::string& text) {
  std::string out = " ";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || byte >= 128) {
      out += static_cast<char>(std::tolower(byte));
    } else if (out.back() != ' ') {
      out += ' ';
    }
  }
  if (out.back() != ' ') out += ' ';
  return out;
}

class Runner {
 public:
  /// Scores by repeating each context, or guessed by the calibrated predictor, as the server does it.
  Runner(const std::string& model, int threads, bool repeat, const std::string& calibration)
      : transformer_(need(model::Transformer::load(model, threads, {}))),
        vocab_(need(model::Vocab::load(model))),
        pool_(need(transformer_->make_pool(std::size_t{2} << 30))) {
    request_ = inference::repeat_request(*vocab_);
    if (repeat) return;
    calibration_ = need(inference::load_or_calibrate(
        *transformer_, *vocab_, calibration,
        [](float done) { progress(fmt::format("calibrating: {:.0f}%", 100 * done)); }, progress));
    progress(fmt::format("calibration: explains {:.2f} of a held-out text", calibration_->explained));
  }

  const model::Vocab& vocab() const { return *vocab_; }

  /// All settings for one item: results[setting] gets an answer a question, in order.
  void run(const Item& item, const std::vector<double>& ratios, std::map<Setting, std::vector<Answer>>& out) {
    kv_cache::SequenceKv read = sequence();
    kv_cache::ScoreBuffer agnostic =
        inference::zero_scores(read.shape(), static_cast<int>(item.context.size()));
    append(read, item.context, calibration_ ? &agnostic : nullptr);
    if (!calibration_) {
      agnostic = need(inference::score_by_repeating(*transformer_, *pool_, read, item.context, request_));
    }
    std::vector<Answer> full;
    for (const Question& question : item.questions) {
      kv_cache::SequenceKv fork = read.fork();
      full.push_back(ask(fork, question));
    }
    for (const std::string mode : {"query_agnostic", "query_aware"}) {
      for (const double ratio : ratios) {
        auto& answers = out[{mode, ratio}];
        for (std::size_t i = 0; i < item.questions.size(); ++i) {
          answers.push_back(ratio <= 1 ? full[i]
                            : mode == "query_agnostic"
                                ? ask_agnostic(read, agnostic, item.questions[i], ratio)
                                : ask_aware(read, agnostic, item, item.questions[i], ratio));
          for (std::size_t t = 0; t < full[i].choices.size(); ++t)
            answers.back().agreed += answers.back().choices[t] == full[i].choices[t] ? 1 : 0;
        }
      }
    }
  }

 private:
  kv_cache::SequenceKv sequence() { return {*pool_, transformer_->hparams().kv_shape()}; }

  void append(kv_cache::SequenceKv& to, std::span<const std::int32_t> tokens,
              kv_cache::ScoreBuffer* predicted = nullptr) {
    for (std::size_t at = 0; at < tokens.size(); at += kChunk) {
      model::BatchSpan span{&to, tokens.subspan(at, std::min<std::size_t>(kChunk, tokens.size() - at)), {}};
      if (predicted != nullptr) {
        span.predictor = &calibration_->predictor;
        span.predicted = predicted;
      }
      need(transformer_->forward(*pool_, {&span, 1}));
    }
  }

  /// What the model answers by itself, greedily.
  std::string answer(kv_cache::SequenceKv sequence, const Question& question) {
    Tokens next = question.tokens;
    std::string text;
    for (std::size_t i = 0; i < question.gold.size() + kFreeTokens; ++i) {
      model::BatchSpan span{&sequence, next, {static_cast<int>(next.size()) - 1}};
      const auto logits = need(transformer_->forward(*pool_, {&span, 1}));
      next = {static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())};
      if (vocab_->is_eog(next[0])) break;
      text += vocab_->piece(next[0]);
    }
    return text;
  }

  /// The question and the gold answer in one batch: every gold token is predicted from what came before.
  Answer ask(kv_cache::SequenceKv& sequence, const Question& question) {
    bool solved = false;
    if (!question.wanted.empty()) {
      const std::string text = words_of(answer(sequence.fork(), question));
      for (const std::string& each : question.wanted)
        solved = solved || text.find(words_of(each)) != std::string::npos;
    }
    Tokens tokens = question.tokens;
    tokens.insert(tokens.end(), question.gold.begin(), question.gold.end() - 1);
    model::BatchSpan span{&sequence, tokens, {}};
    for (std::size_t i = question.tokens.size() - 1; i < tokens.size(); ++i)
      span.output_rows.push_back(static_cast<int>(i));
    const auto logits = need(transformer_->forward(*pool_, {&span, 1}));
    Answer out;
    out.solved = solved;
    const auto width = static_cast<std::size_t>(vocab_->size());
    for (std::size_t i = 0; i < question.gold.size(); ++i) {
      const auto row = logits.subspan(i * width, width);
      const auto best = static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
      double sum = 0;
      for (const float x : row) sum += std::exp(double{x} - row[static_cast<std::size_t>(best)]);
      out.logprob += row[static_cast<std::size_t>(question.gold[i])] - row[static_cast<std::size_t>(best)] -
                     std::log(sum);
      out.choices.push_back(best);
    }
    out.logprob /= static_cast<double>(question.gold.size());
    const auto f16 = sequence.shape().token_bytes_f16() * sequence.tokens();
    out.ratio = static_cast<double>(f16) / static_cast<double>(sequence.bytes());
    return out;
  }

  Answer ask_agnostic(const kv_cache::SequenceKv& read, const kv_cache::ScoreBuffer& scores,
                      const Question& question, double ratio) {
    kv_cache::SequenceKv fork = read.fork();
    compress(fork, scores, ratio);
    return ask(fork, question);
  }

  /// As a request does it: context and question are read, then both are compressed but for the last token,
  /// which is read again so that every answer token is seen compressed.
  Answer ask_aware(const kv_cache::SequenceKv& read, const kv_cache::ScoreBuffer& agnostic, const Item& item,
                   const Question& question, double ratio) {
    kv_cache::SequenceKv fork = read.fork();
    const auto tail = std::span(question.tokens).first(question.tokens.size() - 1);
    if (tail.empty()) return ask_agnostic(read, agnostic, question, ratio);
    append(fork, tail);
    Tokens prompt = item.context;
    prompt.insert(prompt.end(), tail.begin(), tail.end());
    const int first = static_cast<int>(item.context.size());
    auto by_question = need(inference::score_by_question(*transformer_, *pool_, fork, prompt, first));
    const kv_cache::ScoreBuffer scores =
        inference::combine(agnostic, std::move(by_question), first, static_cast<int>(prompt.size()));
    compress(fork, scores, ratio);
    return ask(fork, {{question.tokens.back()}, question.gold, question.wanted});
  }

  void compress(kv_cache::SequenceKv& sequence, const kv_cache::ScoreBuffer& scores, double ratio) {
    kv_cache::EvictionOptions options;
    options.ratio = ratio;
    const auto kept = kv_cache::choose_kept(scores, sequence.shape(), sequence.tokens(), options);
    need(sequence.compress(kept, kv_cache::is_coded(ratio), kernels::best_attention_kernels()));
  }

  std::unique_ptr<model::Transformer> transformer_;
  std::unique_ptr<model::Vocab> vocab_;
  std::unique_ptr<kv_cache::PagePool> pool_;
  Tokens request_;
  std::optional<inference::Calibration> calibration_;
};

/// 95% interval of the mean, by bootstrap over items with a fixed seed.
std::pair<double, double> interval(const std::vector<double>& values) {
  std::mt19937 rng(1);
  std::vector<double> means(2000);
  for (double& mean : means) {
    for (std::size_t i = 0; i < values.size(); ++i) mean += values[rng() % values.size()];
    mean /= static_cast<double>(values.size());
  }
  std::sort(means.begin(), means.end());
  return {means[49], means[1949]};
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double x : values) sum += x;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

nlohmann::ordered_json row_of(const std::string& task, const Setting& setting,
                              const std::vector<Answer>& answers, const std::vector<Answer>& full) {
  std::vector<double> kept, change, score_full, agreed, ratio;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    change.push_back(answers[i].logprob - full[i].logprob);
    score_full.push_back(task == "perplexity" ? std::exp(-full[i].logprob) : full[i].solved ? 1 : 0);
    agreed.push_back(static_cast<double>(answers[i].agreed) / static_cast<double>(answers[i].choices.size()));
    ratio.push_back(answers[i].ratio);
    if (task == "perplexity") {
      kept.push_back(std::exp(change.back()));
    } else if (full[i].solved) {
      kept.push_back(answers[i].solved ? 1 : 0);
    }
  }
  const auto [low, high] = kept.empty() ? std::pair(0.0, 0.0) : interval(kept);
  nlohmann::ordered_json row;
  row["task"] = task;
  row["mode"] = setting.mode;
  row["ratio"] = setting.ratio;
  row["ratio_achieved"] = mean(ratio);
  row["n"] = kept.size();
  row["asked"] = answers.size();
  row["full"] = mean(score_full);
  row["score"] = mean(score_full) * (task == "perplexity" ? 1 / mean(kept) : mean(kept));
  row["kept"] = mean(kept);
  row["ci95"] = {low, high};
  row["logprob_change"] = mean(change);
  row["top1_agreement"] = mean(agreed);
  return row;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::stringstream in(text);
  for (std::string each; std::getline(in, each, ',');) out.push_back(each);
  return out;
}

int run(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const std::string data = take_value(args, "--data", "data");
  const std::string tasks = take_value(args, "--tasks",
                                       "needle_1400,needle_3200,longeval,xquad,perplexity,many_questions,"
                                       "instructions");
  const std::string ratio_list = take_value(args, "--ratios", "1,2,4,8,16,32,64");
  const std::string scores = take_value(args, "--scores", "predicted");
  const std::string calibration = take_value(args, "--calibration", "");
  const int items = std::stoi(take_value(args, "--items", "100"));
  Result result;
  result.name = "eval compression";
  result.seed = std::stoi(take_value(args, "--seed", "1"));
  const char* model = std::getenv("PERMUTATION_MODEL");
  if (model == nullptr || !args.empty()) {
    progress(
        "usage: ./dev eval compression [--data DIR] [--tasks A,B] [--ratios 1,8] [--items N] [--seed S] "
        "[--scores predicted|repeated] [--calibration FILE] [--json]");
    return 2;
  }
  std::vector<double> ratios;
  for (const auto& each : split(ratio_list)) ratios.push_back(std::stod(each));
  Runner runner(model, static_cast<int>(std::max(1U, std::thread::hardware_concurrency())),
                scores == "repeated", calibration);
  for (const std::string& name : split(tasks)) {
    const TaskText task = need(make_task(name, data, runner.vocab(), items, result.seed));
    std::map<Setting, std::vector<Answer>> answers;
    std::vector<double> with_full = ratios;
    if (std::find(ratios.begin(), ratios.end(), 1.0) == ratios.end())
      with_full.insert(with_full.begin(), 1.0);
    for (std::size_t i = 0; i < task.items.size(); ++i) {
      runner.run(task.items[i], with_full, answers);
      if (i % 5 == 4 || i + 1 == task.items.size())
        progress(fmt::format("{}: {} of {} contexts", name, i + 1, task.items.size()));
    }
    for (const auto& [setting, each] : answers)
      result.rows.push_back(row_of(name, setting, each, answers[{setting.mode, 1.0}]));
  }
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::run({argv + 1, argv + argc});
}
