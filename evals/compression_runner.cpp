#include "evals/compression_runner.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "compression/encode.h"
#include "compression/scores.h"
#include "evals/compression_answer.h"
#include "lab/measure.h"

namespace pmt::evals {
using namespace lab;
namespace {

constexpr int kChunk = 512;

}  // namespace

/// What has been read of an item, once for all settings.
struct CompressionRunner::Context {
  const Item* item;
  kv_cache::SequenceKv read;
  kv_cache::ScoreBuffer predicted;
  kv_cache::ScoreBuffer repeated;      // empty until it is wanted
  kv_cache::ScoreBuffer by_turns;      // of the asides, and
  kv_cache::ReferenceQueries queries;  // theirs, both empty until they are wanted
};

CompressionRunner::CompressionRunner(const RunnerOptions& options)
    : scores_(options.scores),
      transformer_(need(model::Transformer::load(options.model, options.threads, {}))),
      vocab_(need(model::Vocab::load(options.model))),
      pool_(need(transformer_->make_pool(std::size_t{2} << 30))) {
  asides_ = compression::asides_for(*vocab_);
  calibration_ = need(compression::load_or_calibrate(
      *transformer_, *vocab_, options.calibration,
      [](float done) { progress(fmt::format("calibrating: {:.0f}%", 100 * done)); }, progress));
}

CompressionRunner::~CompressionRunner() = default;

kv_cache::SequenceKv CompressionRunner::sequence() const {
  return {*pool_, transformer_->hparams().kv_shape()};
}

void CompressionRunner::append(kv_cache::SequenceKv& to, std::span<const std::int32_t> tokens,
                               kv_cache::ScoreBuffer* predicted) {
  for (std::size_t at = 0; at < tokens.size(); at += kChunk) {
    model::BatchSpan span{&to, tokens.subspan(at, std::min<std::size_t>(kChunk, tokens.size() - at)), {}};
    if (predicted != nullptr) {
      span.predictor = &calibration_->predictor;
      span.predicted = predicted;
    }
    need(transformer_->forward(*pool_, {&span, 1}));
  }
}

const kv_cache::ScoreBuffer& CompressionRunner::agnostic_scores(Context& context) {
  if (scores_ != "repeated") return context.predicted;
  if (context.repeated.values.empty())
    context.repeated = need(compression::score_by_repeating(*transformer_, *pool_, context.read,
                                                            context.item->context, asides_.repeat));
  return context.repeated;
}

kv_cache::SequenceKv CompressionRunner::compressed(const kv_cache::SequenceKv& from,
                                                   const kv_cache::ScoreBuffer& scores,
                                                   const kv_cache::ReferenceQueries& queries,
                                                   std::optional<compression::QuestionPlace> question,
                                                   double ratio) const {
  kv_cache::SequenceKv out = from.fork();
  const auto plan =
      compression::plan(scores, out.shape(), {.ratio = ratio, .tokens = out.tokens(), .question = question});
  need(out.adopt(
      compression::encode(out, *pool_, plan, {.threads = transformer_->threads(), .queries = &queries})));
  return out;
}

kv_cache::SequenceKv CompressionRunner::agnostic(Context& context, double ratio) {
  if (context.by_turns.values.empty()) {
    context.by_turns = need(compression::score_by_turns(*transformer_, *pool_, context.read, asides_.turns));
    context.queries = need(compression::queries_of_repeating(*transformer_, *pool_, context.read,
                                                             context.item->context, asides_.repeat));
  }
  kv_cache::ScoreBuffer scores = agnostic_scores(context);
  compression::weigh_by_turns(scores, context.by_turns, context.read.tokens());
  return compressed(context.read, scores, context.queries, std::nullopt, ratio);
}

/// As a request does it: context and question are read, then both are compressed but for the last token,
/// which is read again so that every answer token is seen compressed.
kv_cache::SequenceKv CompressionRunner::aware(Context& context, const Question& question,
                                              const Setting& setting) {
  const std::size_t asked = question.tokens.size() - 1;
  std::vector<std::int32_t> prompt = context.item->context;
  prompt.insert(prompt.end(), question.tokens.begin(),
                question.tokens.begin() + static_cast<std::ptrdiff_t>(asked));
  kv_cache::SequenceKv fork = context.read.fork();
  const auto place = compression::question_from(fork.tokens(), static_cast<int>(prompt.size()));
  append(fork, std::span(prompt).last(asked), nullptr);
  auto queries = compression::room_for_queries(transformer_->hparams(), place.first, static_cast<int>(asked));
  auto by_question =
      need(compression::score_by_question(*transformer_, *pool_, fork, prompt, place, &queries));
  const auto scores =
      compression::combine(agnostic_scores(context), std::move(by_question), place, setting.ratio);
  return compressed(fork, scores, queries, place, setting.ratio);
}

/// Whether what the model answers by itself, greedily from its `first` token on, has the wanted words in it.
bool CompressionRunner::answers_freely(kv_cache::SequenceKv sequence, const Question& question,
                                       std::int32_t first) {
  return answers_well(question, *vocab_, first, [&](std::int32_t token) {
    model::BatchSpan span{&sequence, {&token, 1}, {0}};
    return need(transformer_->forward(*pool_, {&span, 1}));
  });
}

/// The question, then the gold answer in one batch: every gold token is predicted from what came before.
CompressionRunner::Said CompressionRunner::ask(kv_cache::SequenceKv sequence, const Question& question) {
  Said out;
  const auto width = static_cast<std::size_t>(vocab_->size());
  std::size_t at = 0;
  const auto judge = [&](std::span<const float> row) {
    const auto best = static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
    double sum = 0;
    for (const float x : row) sum += std::exp(double{x} - row[static_cast<std::size_t>(best)]);
    out.logprob += row[static_cast<std::size_t>(question.gold[at++])] - row[static_cast<std::size_t>(best)] -
                   std::log(sum);
    out.choices.push_back(best);
  };
  model::BatchSpan span{&sequence, question.tokens, {static_cast<int>(question.tokens.size()) - 1}};
  judge(need(transformer_->forward(*pool_, {&span, 1})));
  if (!question.wanted.empty()) out.solved = answers_freely(sequence.fork(), question, out.choices[0]);
  if (question.gold.size() > 1) {
    span = {&sequence, std::span(question.gold).first(question.gold.size() - 1), {}};
    for (int i = 0; i < static_cast<int>(span.tokens.size()); ++i) span.output_rows.push_back(i);
    const auto logits = need(transformer_->forward(*pool_, {&span, 1}));
    while (at < question.gold.size()) judge(logits.subspan((at - 1) * width, width));
  }
  out.logprob /= static_cast<double>(question.gold.size());
  out.ratio = static_cast<double>(sequence.shape().bytes_f16(sequence.tokens())) /
              static_cast<double>(sequence.held().total());
  return out;
}

void CompressionRunner::run(const std::string& task, int number, const Item& item,
                            const std::vector<Setting>& settings,
                            const std::function<void(const Answer&)>& done) {
  Context context{&item, sequence(), {}, {}, {}, {}};
  context.predicted = compression::zero_scores(context.read.shape(), static_cast<int>(item.context.size()));
  append(context.read, item.context, &context.predicted);
  std::vector<Said> full;
  for (const Question& question : item.questions) full.push_back(ask(context.read.fork(), question));
  const auto report = [&](std::size_t i, const Setting& setting, const Said& said) {
    Answer answer{task,           number,      static_cast<int>(i), setting,     said.ratio,
                  full[i].solved, said.solved, full[i].logprob,     said.logprob};
    for (std::size_t t = 0; t < said.choices.size(); ++t)
      answer.agreed += said.choices[t] == full[i].choices[t] ? 1 : 0;
    answer.agreed /= static_cast<double>(said.choices.size());
    done(answer);
  };
  for (std::size_t i = 0; i < full.size(); ++i) report(i, {"full", 1}, full[i]);
  for (const Setting& setting : settings) {
    std::optional<kv_cache::SequenceKv> shared;
    for (std::size_t i = 0; i < item.questions.size(); ++i) {
      const Question& question = item.questions[i];
      if (setting.mode == "query_aware" && question.tokens.size() > 1) {
        report(i, setting,
               ask(aware(context, question, setting),
                   {{question.tokens.back()}, question.gold, question.wanted, question.forbidden}));
        continue;
      }
      if (!shared) shared = agnostic(context, setting.ratio);
      report(i, setting, ask(shared->fork(), question));
    }
  }
}

}  // namespace pmt::evals
