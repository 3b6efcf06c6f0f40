#include "inference/local_model.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/file_digest.h"
#include "base/hash.h"
#include "compression/calibration.h"
#include "inference/answer_forms.h"
#include "inference/encode_queue.h"
#include "inference/job_maker.h"
#include "inference/libllama/llama_model.h"
#include "inference/libllama/llama_runtime.h"
#include "inference/memory_fit.h"
#include "inference/prompt_encoder.h"
#include "inference/runtime.h"
#include "inference/scheduler.h"
#include "model/chat_template.h"
#include "model/llama_log.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::inference {
namespace {

/// A model as its file gave it, before anything runs it.
struct Opened {
  std::unique_ptr<model::Vocab> vocab;
  std::unique_ptr<model::ChatTemplate> chat_template;  // null: none
  ModelInfo info;
  /// Called once, with the vocabulary where it stays.
  std::function<std::unique_ptr<Runtime>(const model::Vocab&, const LocalModelOptions&)> run;
};

/// The one that is used.
std::optional<std::string> template_of(const LocalModelOptions& options, const model::Vocab& vocab) {
  return options.chat_template.empty() ? vocab.chat_template() : options.chat_template;
}

/// What its template makes of it.
ModelInfo with_template(ModelInfo out, const PromptEncoder& prompts) {
  out.has_chat_template = prompts.has_chat_template();
  out.native_tools = prompts.knows_tools();
  out.thinks = prompts.thinking().has_value();
  if (out.thinks) {
    out.thought_open = prompts.thinking()->open;
    out.thought_close = prompts.thinking()->close;
  }
  return out;
}

class LocalModelImpl final : public LocalModel {
 public:
  LocalModelImpl(LocalModelOptions options, Opened opened, const base::Clock& clock)
      : options_(std::move(options)),
        clock_(clock),
        vocab_(std::move(opened.vocab)),
        prompts_({options_.name, opened.info.context_tokens, template_of(options_, *vocab_)}, *vocab_,
                 std::move(opened.chat_template)),
        forms_(*vocab_, prompts_.thinking()),
        info_(with_template(std::move(opened.info), prompts_)),
        kv_quality_(info_.runs_elsewhere.empty() ? compression::quality_of(options_.path)
                                                 : compression::Quality()),
        runtime_(opened.run(*vocab_, options_)),
        jobs_({.name = options_.name,
               .vocab = *vocab_,
               .prompts = prompts_,
               .forms = forms_,
               .kv_quality = kv_quality_,
               .kv_ratio = options_.kv_ratio,
               .kv_decoding = options_.kv_decoding,
               .kv_recent_tokens = options_.kv_recent_tokens,
               .runs_elsewhere = info_.runs_elsewhere,
               .context_tokens = info_.context_tokens,
               .new_tokens_that_fit = [this](int prompt_tokens, int choices, double kv_ratio) {
                 return runtime_->new_tokens_that_fit(prompt_tokens, choices, kv_ratio);
               }}) {
    const auto waiting_max = static_cast<std::size_t>(options_.queue_max);
    const auto encode = [this](const Arrived& arrived) { return submit(arrived); };
    intake_.emplace(EncodeQueue::Options{base::Thread::kIntake, waiting_max}, encode);
    slow_intake_.emplace(EncodeQueue::Options{base::Thread::kForms, waiting_max}, encode);
  }

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
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
  KvPoolStats kv_stats() const override { return runtime_->kv_stats(); }
  CalibrationStatus calibration() const override { return runtime_->calibration(); }
  EngineStats stats() const override {
    EngineStats out = runtime_->stats();
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
    return runtime_->submit(std::move(job));
  }

  const LocalModelOptions options_;
  const base::Clock& clock_;
  const std::unique_ptr<model::Vocab> vocab_;
  const PromptEncoder prompts_;
  AnswerForms forms_;
  const ModelInfo info_;
  const compression::Quality kv_quality_;  // before the runtime, whose jobs ask it
  const std::unique_ptr<Runtime> runtime_;
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
          .chat_template = template_of(options_, *vocab_),
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

/// Our graph, and the scheduler that runs it.
class OwnGraph final : public Runtime {
 public:
  OwnGraph(std::unique_ptr<model::Transformer> transformer, const model::Vocab& vocab,
           std::unique_ptr<kv_cache::PagePool> pool, std::optional<compression::Calibration> calibration,
           const LocalModelOptions& options, const base::Clock& clock, std::unique_ptr<Drafting> drafting)
      : transformer_(std::move(transformer)),
        scheduler_(*transformer_, vocab, std::move(pool), std::move(calibration), options, clock,
                   std::move(drafting)) {}

  base::Status submit(std::unique_ptr<Job> job) override { return scheduler_.submit(std::move(job)); }
  int new_tokens_that_fit(int prompt_tokens, int choices, double kv_ratio) const override {
    return scheduler_.new_tokens_that_fit(prompt_tokens, choices, kv_ratio);
  }
  EngineStats stats() const override { return scheduler_.stats(); }
  KvPoolStats kv_stats() const override { return scheduler_.kv_stats(); }
  CalibrationStatus calibration() const override { return scheduler_.calibration(); }

 private:
  const std::unique_ptr<model::Transformer> transformer_;
  Scheduler scheduler_;
};

ModelInfo info_of(const LocalModelOptions& options, const model::Transformer& transformer) {
  ModelInfo out;
  out.name = options.name;
  out.path = options.path;
  out.architecture = transformer.hparams().architecture.name;
  out.context_tokens = transformer.hparams().context_tokens;
  out.parameters = transformer.parameters();
  out.file_bytes = transformer.file_bytes();
  return out;
}

base::Status open_vocabulary(const LocalModelOptions& options, Opened& out) {
  TRY_ASSIGN(out.vocab, model::Vocab::load(options.path));
  if (const auto source = template_of(options, *out.vocab)) {
    TRY_ASSIGN(out.chat_template, model::ChatTemplate::create(*out.vocab, *source));
  }
  return {};
}

/// Its checks of the file come first: their messages are the clearer ones.
base::Result<std::unique_ptr<model::Transformer>> load_own(LocalModelOptions& options) {
  const auto admit = [&](const model::Hparams& hparams, std::int64_t weight_bytes) {
    return check_memory(hparams, weight_bytes, options);
  };
  return model::Transformer::load(options.path, options.threads, options.on_load_progress, admit);
}

/// The second model, where one was named.
base::Result<std::unique_ptr<Drafting>> drafting_of(const model::Vocab& vocab,
                                                    const LocalModelOptions& options,
                                                    const base::Clock& clock) {
  if (options.draft_path.empty()) return std::unique_ptr<Drafting>();
  const auto admit = [&](const model::Hparams&, std::int64_t weight_bytes) -> base::Status {
    TRY(fit_memory({.name = options.draft_path,
                    .available = options.memory_available(),
                    .weights = weight_bytes,
                    .kv_bytes_max = 0}));
    return {};
  };
  auto model = DraftModel::load(options.draft_path, options.threads, vocab, admit);
  if (!model) {
    base::Error error = model.error();
    error.message = fmt::format("the draft model of {}: {}", options.name, error.message);
    error.field = "draft";
    return error;
  }
  return Drafting::create(std::move(*model), clock);
}

base::Result<Opened> open_own(std::unique_ptr<model::Transformer> transformer, LocalModelOptions& options,
                              const base::Clock& clock) {
  Opened out;
  out.info = info_of(options, *transformer);
  TRY(open_vocabulary(options, out));
  if (out.vocab->size() != transformer->hparams().vocabulary) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: its tokenizer has {} tokens, its embedding {} rows", options.path,
                                   out.vocab->size(), transformer->hparams().vocabulary)};
  }
  if (options.prefix_files != nullptr) {
    TRY_ASSIGN(const base::Digest digest, base::digest_of_file(options.path));
    options.model_digest = digest.hex();
  }
  TRY_ASSIGN(auto pool, transformer->make_pool(options.kv_bytes_max));
  TRY_ASSIGN(auto calibration, calibration_of(*transformer, *out.vocab, options));
  TRY_ASSIGN(auto drafting, drafting_of(*out.vocab, options, clock));
  // std::function copies, so what it hands on is shared until then.
  struct Parts {
    std::unique_ptr<model::Transformer> transformer;
    std::unique_ptr<kv_cache::PagePool> pool;
    std::optional<compression::Calibration> calibration;
    std::unique_ptr<Drafting> drafting;
  };
  auto parts = std::make_shared<Parts>(
      Parts{std::move(transformer), std::move(pool), std::move(calibration), std::move(drafting)});
  out.run = [parts, &clock](const model::Vocab& vocab, const LocalModelOptions& of_model) {
    return std::make_unique<OwnGraph>(std::move(parts->transformer), vocab, std::move(parts->pool),
                                      std::move(parts->calibration), of_model, clock,
                                      std::move(parts->drafting));
  };
  return out;
}

base::Result<Opened> open_elsewhere(LocalModelOptions& options, const base::Clock& clock) {
  Opened out;
  TRY(open_vocabulary(options, out));
  LoadedLlama loaded;
  TRY_ASSIGN(loaded.model, LlamaModel::load(options));
  TRY_ASSIGN(loaded.context, LlamaContext::create(loaded.model->raw(), loaded.model->context()));
  out.info = loaded.model->info();
  if (!options.draft_path.empty()) {
    options.on_warning(fmt::format("{}: draft has no effect: {}", options.name, out.info.runs_elsewhere));
  }
  if (options.kv_ratio > 1) {
    options.on_warning(fmt::format("{}: kv_ratio {} has no effect: {}. Its kv_type may be q8_0 or q4_0",
                                   options.name, options.kv_ratio, out.info.runs_elsewhere));
  }
  const auto held = std::make_shared<LoadedLlama>(std::move(loaded));
  out.run = [held, &clock](const model::Vocab& vocab, const LocalModelOptions& of_model) {
    return make_llama_runtime(std::move(*held), vocab, of_model, clock);
  };
  return out;
}

/// By what the options choose. Auto: only what our graph refuses because of its kind goes to libllama; what is wrong
/// with the file itself, or with its tokenizer or template, is said by ours.
base::Result<Opened> open_model(LocalModelOptions& options, const base::Clock& clock) {
  if (options.runtime == RuntimeChoice::kLibllama) return open_elsewhere(options, clock);
  auto transformer = load_own(options);
  if (transformer) return open_own(std::move(*transformer), options, clock);
  const bool of_another_kind = transformer.error().code == base::Code::kInvalidArgument;
  if (!of_another_kind || options.runtime == RuntimeChoice::kOwn) return transformer.error();
  return open_elsewhere(options, clock);
}

}  // namespace

EngineStats& EngineStats::operator+=(const EngineStats& other) {
  for (const auto count : {&EngineStats::requests,
                           &EngineStats::completed,
                           &EngineStats::cancelled,
                           &EngineStats::failed,
                           &EngineStats::prompt_tokens,
                           &EngineStats::completion_tokens,
                           &EngineStats::steps,
                           &EngineStats::compressed,
                           &EngineStats::compressed_tokens,
                           &EngineStats::evicted_tokens,
                           &EngineStats::decoding_compressed_tokens,
                           &EngineStats::drafted,
                           &EngineStats::accepted,
                           &EngineStats::drafted_by_model,
                           &EngineStats::accepted_by_model,
                           &EngineStats::prefix_hits,
                           &EngineStats::prefix_tokens,
                           &EngineStats::prefix_disk_hits,
                           &EngineStats::prefix_disk_tokens,
                           &EngineStats::prefix_disk_misses,
                           &EngineStats::prefix_queried,
                           &EngineStats::forms,
                           &EngineStats::forms_found,
                           &EngineStats::forms_refused})
    this->*count += other.*count;
  running += other.running;
  waiting += other.waiting;
  return *this;
}

base::Result<std::unique_ptr<LocalModel>> LocalModel::load(LocalModelOptions options,
                                                           const base::Clock& clock) {
  model::init_llama();
  if (options.threads <= 0)
    options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  TRY_ASSIGN(Opened opened, open_model(options, clock));
  return std::unique_ptr<LocalModel>(new LocalModelImpl(std::move(options), std::move(opened), clock));
}

}  // namespace pmt::inference
