// Puts the questions of one context to the model, with its keys and values whole and compressed: the work of
// ./dev eval compression. Thread-safety: one thread. Errors: the model's, on stderr; then the process ends.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compression/asides.h"
#include "compression/calibration.h"
#include "compression/plan.h"
#include "evals/compression_tasks.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::evals {

struct Setting {
  std::string mode;
  double ratio = 1;
};

/// One question under one setting, beside what the full cache made of it.
struct Answer {
  std::string task;
  int item = 0;
  int question = 0;
  Setting setting;
  double ratio_achieved = 1;
  bool full_solved = false;
  bool solved = false;
  double full_logprob = 0;  // mean over the gold tokens
  double logprob = 0;
  double agreed = 0;  // share of the gold tokens whose first choice is the full cache's
};

struct RunnerOptions {
  std::string model;
  int threads = 1;
  /// How query-agnostic scores are made: "predicted", as the server does it, or "repeated" (kv_scores.h).
  std::string scores = "predicted";
  std::string calibration;  // a file; "": fitted anew
};

class CompressionRunner {
 public:
  explicit CompressionRunner(const RunnerOptions& options);
  ~CompressionRunner();

  const model::Vocab& vocab() const { return *vocab_; }
  /// Every question of `item` under every setting; the full cache's own answers come as ratio 1.
  void run(const std::string& task, int number, const Item& item, const std::vector<Setting>& settings,
           const std::function<void(const Answer&)>& done);

 private:
  struct Said {
    bool solved = false;
    double logprob = 0;
    std::vector<std::int32_t> choices;
    double ratio = 1;
  };
  struct Context;

  kv_cache::SequenceKv sequence() const;
  void append(kv_cache::SequenceKv& to, std::span<const std::int32_t> tokens,
              kv_cache::ScoreBuffer* predicted);
  const kv_cache::ScoreBuffer& agnostic_scores(Context& context);
  kv_cache::SequenceKv compressed(const kv_cache::SequenceKv& from, const kv_cache::ScoreBuffer& scores,
                                  const kv_cache::ReferenceQueries& queries,
                                  std::optional<compression::QuestionPlace> question, double ratio) const;
  kv_cache::SequenceKv agnostic(Context& context, double ratio);
  kv_cache::SequenceKv aware(Context& context, const Question& question, const Setting& setting);
  Said ask(kv_cache::SequenceKv sequence, const Question& question);
  bool answers_freely(kv_cache::SequenceKv sequence, const Question& question, std::int32_t first);

  std::string scores_;
  std::unique_ptr<model::Transformer> transformer_;
  std::unique_ptr<model::Vocab> vocab_;
  std::unique_ptr<kv_cache::PagePool> pool_;
  compression::Asides asides_;
  std::optional<compression::Calibration> calibration_;
};

}  // namespace pmt::evals
