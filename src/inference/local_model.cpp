#include "inference/local_model.h"

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "compression/calibration.h"
#include "inference/answer_forms.h"
#include "inference/encode_queue.h"
#include "inference/job_maker.h"
#include "inference/memory_fit.h"
#include "inference/prompt_encoder.h"
#include "inference/scheduler.h"
#include "model/chat_template.h"
#include "model/llama_log.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::inference {
namespace {

ModelInfo info_of(const LocalModelOptions& options, const model::Transformer& transformer,
                  const PromptEncoder& prompts) {
  ModelInfo out;
  out.name = options.name;
  out.path = options.path;
  out.architecture = transformer.hparams().architecture.name;
  out.context_tokens = transformer.hparams().context_tokens;
  out.parameters = transformer.parameters();
  out.file_bytes = transformer.file_bytes();
  out.has_chat_template = prompts.has_chat_template();
  return out;
}

class LocalModelImpl final : public LocalModel {
 public:
  LocalModelImpl(LocalModelOptions options, std::unique_ptr<model::Vocab> vocab,
                 std::unique_ptr<model::ChatTemplate> chat_template,
                 std::unique_ptr<model::Transformer> transformer, std::unique_ptr<kv_cache::PagePool> pool,
                 std::optional<compression::Calibration> calibration, const base::Clock& clock)
      : options_(std::move(options)),
        clock_(clock),
        vocab_(std::move(vocab)),
        prompts_({options_.name, transformer->hparams().context_tokens}, *vocab_, std::move(chat_template)),
        forms_(*vocab_),
        transformer_(std::move(transformer)),
        info_(info_of(options_, *transformer_, prompts_)),
        kv_quality_(compression::quality_of(options_.path)),
        scheduler_(*transformer_, *vocab_, std::move(pool), std::move(calibration), options_, clock),
        jobs_({.name = options_.name,
               .vocab = *vocab_,
               .prompts = prompts_,
               .forms = forms_,
               .kv_quality = kv_quality_,
               .kv_ratio = options_.kv_ratio,
               .context_tokens = info_.context_tokens,
               .new_tokens_that_fit = [this](int prompt_tokens, int choices, double kv_ratio) {
                 return scheduler_.new_tokens_that_fit(prompt_tokens, choices, kv_ratio);
               }}) {
    const auto waiting_max = static_cast<std::size_t>(options_.queue_max);
    const auto encode = [this](const Arrived& arrived) { return submit(arrived); };
    intake_.emplace(EncodeQueue::Options{base::Thread::kIntake, waiting_max}, encode);
    slow_intake_.emplace(EncodeQueue::Options{base::Thread::kForms, waiting_max}, encode);
  }

  void start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    EncodeQueue& queue = is_slow(request) ? *slow_intake_ : *intake_;
    Arrived arrived{std::move(request), sink, std::move(cancel), clock_.now()};
    if (queue.push(arrived)) return;
    sink->on_event(
        llm::Failed{{base::Code::kUnavailable, "too many requests are waiting already: try again later"}});
  }

  std::int64_t count_tokens(const std::string& text) const override { return vocab_->count_tokens(text); }
  std::vector<std::int32_t> tokens_of(const std::string& text, llm::TokensOptions options) const override {
    return vocab_->tokenize(text,
                            {.add_special = options.add_special, .parse_special = options.parse_special});
  }
  base::Result<std::vector<std::int32_t>> prompt_of(const llm::Request& request) const override {
    TRY_ASSIGN(const StructuredOutput structure, structured_output(request));
    TRY_ASSIGN(EncodedPrompt prompt, prompts_.encode(request, structure));
    return std::move(prompt.tokens);
  }
  base::Result<std::string> piece_of(std::int32_t token) const override {
    TRY(prompts_.check_token(token));
    return vocab_->piece(token, {.name_special = true});
  }
  std::int64_t context_tokens() const override { return info_.context_tokens; }
  llm::TokenizerInfo tokenizer_info() const override;
  double word_rarity(std::string_view word) const override;
  const ModelInfo& info() const override { return info_; }
  const compression::Quality& kv_quality() const override { return kv_quality_; }
  KvPoolStats kv_stats() const override { return scheduler_.kv_stats(); }
  CalibrationStatus calibration() const override { return scheduler_.calibration(); }
  EngineStats stats() const override {
    EngineStats out = scheduler_.stats();
    forms_.add_to(out);
    return out;
  }

 private:
  /// Whether others' prompts mustn't wait behind it: DRY looks for its breakers in the whole vocabulary.
  static bool is_slow(const llm::Request& request) {
    return AnswerForms::has_form(request) || request.sampling.dry.multiplier > 0;
  }
  base::Status submit(const Arrived& arrived) {
    TRY_ASSIGN(auto job, jobs_.make(arrived));
    return scheduler_.submit(std::move(job));
  }

  const LocalModelOptions options_;
  const base::Clock& clock_;
  const std::unique_ptr<model::Vocab> vocab_;
  const PromptEncoder prompts_;
  AnswerForms forms_;
  const std::unique_ptr<model::Transformer> transformer_;
  const ModelInfo info_;
  const compression::Quality kv_quality_;  // before the scheduler, whose jobs ask it
  Scheduler scheduler_;
  JobMaker jobs_;
  // Last: everything above is ready when they begin.
  std::optional<EncodeQueue> intake_, slow_intake_;
};

/// Zipf's law: a vocabulary's tokens are ordered by how often they occur.
double LocalModelImpl::word_rarity(std::string_view word) const {
  constexpr double kWholeVocabulary = 10.8;
  const auto tokens = vocab_->tokenize(" " + std::string(word), {});
  if (tokens.empty()) return 0;
  if (tokens.size() > 1) return kWholeVocabulary + 0.5 * static_cast<double>(tokens.size() - 1);
  return kWholeVocabulary * std::log(1.0 + tokens[0]) / std::log(1.0 + vocab_->size());
}

llm::TokenizerInfo LocalModelImpl::tokenizer_info() const {
  const auto name = [this](std::optional<std::int32_t> token) -> std::optional<std::string> {
    if (!token) return std::nullopt;
    return vocab_->piece(*token, {.name_special = true});
  };
  return {.bos = name(vocab_->bos()),
          .eos = name(vocab_->eos()),
          .pad = name(vocab_->pad()),
          .chat_template = vocab_->chat_template(),
          .adds_bos = vocab_->adds_bos()};
}

/// Makes the pool smaller where it doesn't fit.
base::Status check_memory(const model::Hparams& hparams, std::int64_t weight_bytes,
                          LocalModelOptions& options) {
  constexpr std::int64_t kF16Bytes = 2, kKeyAndValue = 2;
  TRY_ASSIGN(const MemoryFit fit,
             fit_memory({.name = options.name,
                         .available = options.memory_available(),
                         .weights = weight_bytes,
                         .kv_bytes_max = static_cast<std::int64_t>(options.kv_bytes_max),
                         .kv_bytes_per_token = kF16Bytes * kKeyAndValue * hparams.layers * hparams.kv_heads *
                                               hparams.head_dim}));
  options.kv_bytes_max = static_cast<std::size_t>(fit.kv_bytes_max);
  if (!fit.warning.empty()) options.on_warning(fit.warning);
  return {};
}

/// The model's own, if it has one by now: else requests go without until it has been made.
base::Result<std::optional<compression::Calibration>> calibration_of(model::Transformer& transformer,
                                                                     const model::Vocab& vocab,
                                                                     const LocalModelOptions& options) {
  const compression::CalibrateOptions how{.piece_tokens = options.calibration_piece_tokens,
                                          .path = options.calibration_path,
                                          .shipped = options.calibration_shipped,
                                          .on_progress = options.on_calibration_progress,
                                          .on_warning = options.on_warning};
  auto known = options.calibrates_first ? compression::load_or_calibrate(transformer, vocab, how)
                                        : compression::known_calibration(transformer, how);
  if (known) return std::optional(std::move(*known));
  if (options.calibrates_first) return known.error();
  return std::optional<compression::Calibration>();
}

}  // namespace

base::Result<std::unique_ptr<LocalModel>> LocalModel::load(LocalModelOptions options,
                                                           const base::Clock& clock) {
  model::init_llama();
  if (options.threads <= 0)
    options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  // The transformer's checks of the file come first: their messages are the clearer ones.
  const auto admit = [&](const model::Hparams& hparams, std::int64_t weight_bytes) {
    return check_memory(hparams, weight_bytes, options);
  };
  TRY_ASSIGN(auto transformer,
             model::Transformer::load(options.path, options.threads, options.on_load_progress, admit));
  TRY_ASSIGN(auto vocab, model::Vocab::load(options.path));
  if (vocab->size() != transformer->hparams().vocabulary) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: its tokenizer has {} tokens, its embedding {} rows", options.path,
                                   vocab->size(), transformer->hparams().vocabulary)};
  }
  std::unique_ptr<model::ChatTemplate> chat_template;
  if (vocab->chat_template()) {
    TRY_ASSIGN(chat_template, model::ChatTemplate::create(*vocab));
  }
  TRY_ASSIGN(auto pool, transformer->make_pool(options.kv_bytes_max));
  TRY_ASSIGN(auto calibration, calibration_of(*transformer, *vocab, options));
  return std::unique_ptr<LocalModel>(new LocalModelImpl(std::move(options), std::move(vocab),
                                                        std::move(chat_template), std::move(transformer),
                                                        std::move(pool), std::move(calibration), clock));
}

}  // namespace pmt::inference
