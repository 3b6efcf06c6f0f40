#include "inference/local_model.h"

#include <atomic>
#include <cctype>
#include <cmath>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "compression/calibration.h"
#include "compression/prompt_compression.h"
#include "compression/question.h"
#include "inference/encode_queue.h"
#include "inference/memory_fit.h"
#include "inference/prefix_scope.h"
#include "inference/scheduler.h"
#include "inference/structured_output.h"
#include "inference/tool_call_sink.h"
#include "model/chat_template.h"
#include "model/llama_log.h"
#include "model/marker_grammar.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::inference {
namespace {

/// Adds to the report what isn't followed of the request's schemas.
class NotesSink final : public llm::Sink {
 public:
  NotesSink(std::shared_ptr<llm::Sink> sink, std::vector<std::string> unfollowed)
      : sink_(std::move(sink)), unfollowed_(std::move(unfollowed)) {}

  void on_event(llm::Event event) override {
    if (auto* done = std::get_if<llm::Done>(&event)) done->report.unfollowed = unfollowed_;
    sink_->on_event(std::move(event));
  }

 private:
  const std::shared_ptr<llm::Sink> sink_;
  const std::vector<std::string> unfollowed_;
};

class LocalModelImpl final : public LocalModel {
 public:
  LocalModelImpl(LocalModelOptions options, std::unique_ptr<model::Vocab> vocab,
                 std::unique_ptr<model::ChatTemplate> chat_template,
                 std::unique_ptr<model::Transformer> transformer, std::unique_ptr<kv_cache::PagePool> pool,
                 std::optional<compression::Calibration> calibration, const base::Clock& clock)
      : options_(std::move(options)),
        clock_(clock),
        vocab_(std::move(vocab)),
        chat_template_(std::move(chat_template)),
        native_(vocab_->chat_template() ? model::NativeChat::create(*vocab_, *vocab_->chat_template())
                                        : nullptr),
        transformer_(std::move(transformer)),
        kv_quality_(compression::quality_of(options_.path)),
        scheduler_(*transformer_, *vocab_, std::move(pool), std::move(calibration), options_, clock),
        thinks_(vocab_->chat_template() && vocab_->chat_template()->find("</think>") != std::string::npos) {
    info_.name = options_.name;
    info_.path = options_.path;
    info_.architecture = transformer_->hparams().architecture.name;
    info_.context_tokens = transformer_->hparams().context_tokens;
    info_.parameters = transformer_->parameters();
    info_.file_bytes = transformer_->file_bytes();
    info_.has_chat_template = chat_template_ != nullptr;
    const auto waiting_max = static_cast<std::size_t>(options_.queue_max);
    const auto encode = [this](Arrived& arrived) { return submit(arrived); };
    prompts_.emplace(EncodeQueue::Options{base::Thread::kIntake, waiting_max}, encode);
    forms_.emplace(EncodeQueue::Options{base::Thread::kForms, waiting_max}, encode);
  }

  void start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    EncodeQueue& queue = is_slow(request) ? *forms_ : *prompts_;
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
  base::Result<std::vector<std::int32_t>> prompt_of(const llm::Request& request) const override;
  base::Result<std::string> piece_of(std::int32_t token) const override;
  std::int64_t context_tokens() const override { return info_.context_tokens; }
  llm::TokenizerInfo tokenizer_info() const override;
  double word_rarity(std::string_view word) const override;
  const ModelInfo& info() const override { return info_; }
  const compression::Quality& kv_quality() const override { return kv_quality_; }
  KvPoolStats kv_stats() const override { return scheduler_.kv_stats(); }
  EngineStats stats() const override {
    EngineStats out = scheduler_.stats();
    out.forms = form_count_;
    out.forms_found = forms_found_;
    out.forms_refused = forms_refused_;
    return out;
  }

 private:
  static bool has_form(const llm::Request& request) {
    return !request.tools.empty() || !request.response_format.is_free();
  }
  /// Whether others' prompts mustn't wait behind it: DRY looks for its breakers in the whole vocabulary.
  static bool is_slow(const llm::Request& request) {
    return has_form(request) || request.sampling.dry.multiplier > 0;
  }
  base::Status submit(Arrived& arrived);
  ForcedTokens forced_tokens(const llm::Request& request) const;
  base::Result<std::vector<std::int32_t>> encode(const llm::Request& request,
                                                 const std::string& instruction) const;
  base::Result<std::vector<std::int32_t>> encode_text(const llm::Request& request) const;
  base::Status check_token(std::int32_t token) const;
  PromptEcho echo_of(const llm::Request& request, const std::vector<std::int32_t>& prompt) const;
  std::optional<model::NativePrompt> native_prompt(const llm::Request& request,
                                                   const StructuredOutput& structure) const;
  void add_other_options(const llm::Request& request, Job& job) const;
  base::Status check_tokens(const llm::Request& request) const;
  base::Result<model::Grammar> form_of(const std::string& gbnf, const std::vector<std::int32_t>& shown,
                                       const std::string& before);
  std::shared_ptr<const model::TokenIndex> tokens_with(const std::vector<std::int32_t>& shown);
  void allow_thinking(const llm::Request& request, std::span<const std::int32_t> prompt,
                      StructuredOutput& structure) const;
  base::Status check_length(const llm::Request& request, std::size_t tokens) const;
  compression::PromptCompression compression_of(const llm::Request& request,
                                                std::span<const std::int32_t> prompt) const;
  std::shared_ptr<llm::Sink> sink_of(const Arrived& arrived, const StructuredOutput& structure,
                                     const std::optional<model::NativePrompt>& native) const;
  void add_plain_options(const Arrived& arrived, Job& job) const;
  base::Status add_form(const StructuredOutput& structure, const std::optional<model::NativePrompt>& native,
                        Job& job);

  LocalModelOptions options_;
  const base::Clock& clock_;
  std::unique_ptr<model::Vocab> vocab_;
  std::unique_ptr<model::ChatTemplate> chat_template_;  // null when the model has none
  std::unique_ptr<model::NativeChat> native_;           // null when its template knows no tools
  std::unique_ptr<model::Transformer> transformer_;
  ModelInfo info_;
  const compression::Quality kv_quality_;  // before the scheduler, whose jobs ask it
  Scheduler scheduler_;

  const bool thinks_;  // its template has a place for it
  std::mutex indexes_;
  std::shared_ptr<const model::TokenIndex> tokens_;        // made for the first form
  std::shared_ptr<const model::TokenIndex> shown_tokens_;  // where names of control tokens are text
  std::vector<std::int32_t> shown_;                        // those
  std::atomic<std::uint64_t> form_count_{0}, forms_found_{0}, forms_refused_{0};
  // Last: everything above is ready when they begin.
  std::optional<EncodeQueue> prompts_, forms_;
};

compression::Mode mode_of(llm::KvMode mode) {
  switch (mode) {
    case llm::KvMode::kAuto:
      return compression::Mode::kAuto;
    case llm::KvMode::kExact:
      return compression::Mode::kExact;
    case llm::KvMode::kQueryAware:
      return compression::Mode::kQueryAware;
    default:
      return compression::Mode::kQueryAgnostic;
  }
}

const char* prompt_field(const llm::Request& request) {
  return request.endpoint == llm::Endpoint::kChat ? "messages" : "prompt";
}

base::Status LocalModelImpl::check_token(std::int32_t token) const {
  if (token >= 0 && token < vocab_->size()) return {};
  return base::invalid(fmt::format("token {} is not in the vocabulary of {}", token, vocab_->size()));
}

base::Result<std::string> LocalModelImpl::piece_of(std::int32_t token) const {
  TRY(check_token(token));
  return vocab_->piece(token, {.name_special = true});
}

base::Result<std::vector<std::int32_t>> LocalModelImpl::prompt_of(const llm::Request& request) const {
  TRY_ASSIGN(const StructuredOutput structure, structured_output(request));
  if (auto native = native_prompt(request, structure)) return std::move(native->tokens);
  return encode(request, structure.instruction);
}

/// A text as it stands: this route is the raw interface, so names of control tokens are those tokens. With a
/// suffix it is what the model was trained to fill in: prefix, suffix, and then the middle that it writes.
base::Result<std::vector<std::int32_t>> LocalModelImpl::encode_text(const llm::Request& request) const {
  const bool fills = !request.suffix.empty();
  std::vector<std::int32_t> tokens = request.prompt_tokens;
  for (const std::int32_t token : tokens) {
    if (const base::Status known = check_token(token); !known)
      return base::invalid(known.error().message, "prompt");
  }
  if (tokens.empty())
    tokens = vocab_->tokenize(request.prompt, {.add_special = !fills, .parse_special = true});
  if (fills) {
    const auto fill = vocab_->fill_in_middle();
    if (!fill) {
      return base::invalid(
          fmt::format("'suffix' needs a model that was trained to fill in the middle, and {} "
                      "has no tokens for it: leave it out, or ask such a model.",
                      options_.name),
          "suffix");
    }
    tokens.insert(tokens.begin(), fill->prefix);
    if (vocab_->adds_bos() && vocab_->bos()) tokens.insert(tokens.begin(), *vocab_->bos());
    const auto after = vocab_->tokenize(request.suffix, {.parse_special = true});
    tokens.push_back(fill->suffix);
    tokens.insert(tokens.end(), after.begin(), after.end());
    tokens.push_back(fill->middle);
  }
  // A begin that the text names itself, beside the one that the tokenizer adds.
  const bool twice =
      tokens.size() > 1 && vocab_->adds_bos() && tokens[0] == tokens[1] && tokens[0] == vocab_->bos();
  if (twice && request.prompt_tokens.empty()) tokens.erase(tokens.begin());
  // An empty prompt starts a text of its own.
  if (tokens.empty()) tokens.push_back(vocab_->bos().value_or(vocab_->eos().value_or(0)));
  return tokens;
}

/// With a suffix the tokens stand in another order than the text.
PromptEcho LocalModelImpl::echo_of(const llm::Request& request,
                                   const std::vector<std::int32_t>& prompt) const {
  if (!request.echo) return {};
  const bool ids = !request.prompt_tokens.empty();
  return {*vocab_, ids && !request.suffix.empty() ? request.prompt_tokens : prompt,
          ids ? std::nullopt : std::optional(request.prompt), request.logprobs};
}

base::Result<std::vector<std::int32_t>> LocalModelImpl::encode(const llm::Request& request,
                                                               const std::string& instruction) const {
  if (request.endpoint == llm::Endpoint::kCompletions) return encode_text(request);
  if (chat_template_ == nullptr) {
    return base::invalid(fmt::format("{} has no chat template: use /v1/completions", options_.name), "model");
  }
  std::vector<model::ChatMessage> messages = chat_messages(request, instruction);
  if (request.recall && !request.recall->statement.empty() && !messages.empty())
    messages.back().content = request.recall->statement + "\n\n" + messages.back().content;
  return chat_template_->encode_chat(messages);
}

/// Texts of the knowledge cache as tokens. A chat's answer ends with its turn; a text goes on after a space.
ForcedTokens LocalModelImpl::forced_tokens(const llm::Request& request) const {
  ForcedTokens out;
  if (!request.recall) return out;
  const llm::Recall& recall = *request.recall;
  const auto end = vocab_->eos();
  if (!recall.answer.empty()) {
    const bool spaced = request.endpoint == llm::Endpoint::kCompletions && !request.prompt.empty() &&
                        std::isspace(static_cast<unsigned char>(request.prompt.back())) == 0;
    out.begin = vocab_->tokenize((spaced ? " " : "") + recall.answer, {});
    if (recall.ends && end) out.begin.push_back(*end);
  }
  if (!recall.closing.empty()) {
    out.needle = recall.needle;
    out.closing = vocab_->tokenize(recall.closing, {});
    if (end) out.closing.push_back(*end);
  }
  return out;
}

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

base::Status LocalModelImpl::check_length(const llm::Request& request, std::size_t tokens) const {
  const auto limit = static_cast<std::size_t>(info_.context_tokens);
  if (tokens < limit || (tokens == limit && request.max_tokens == 0)) return {};
  return base::Error{
      base::Code::kTooLarge,
      fmt::format("the prompt has {} tokens, {} more than fit: the context of {} holds {} tokens and an "
                  "answer needs at least one",
                  tokens, tokens - limit + 1, options_.name, limit),
      prompt_field(request)};
}

/// At its beginning, ready for the scheduler's thread to copy.
base::Result<model::Grammar> LocalModelImpl::form_of(const std::string& gbnf,
                                                     const std::vector<std::int32_t>& shown,
                                                     const std::string& before) {
  TRY_ASSIGN(model::KeptGrammar kept, model::read_grammar(gbnf));
  forms_found_ += kept.found ? 1 : 0;
  TRY_ASSIGN(model::Grammar grammar, model::Grammar::create(std::move(kept.rules), tokens_with(shown)));
  if (!before.empty()) TRY(grammar.accept_text(before));
  return grammar;
}

/// All forms' index; where control tokens are shown, those of the last notation are kept.
std::shared_ptr<const model::TokenIndex> LocalModelImpl::tokens_with(const std::vector<std::int32_t>& shown) {
  const std::lock_guard lock(indexes_);
  auto& index = shown.empty() ? tokens_ : shown_tokens_;
  if (index == nullptr || (!shown.empty() && shown != shown_))
    index = model::TokenIndex::create(*vocab_, shown);
  if (!shown.empty()) shown_ = shown;
  return index;
}

/// Where the model thinks first: also before a call that it must make, and where the prompt has begun it.
void LocalModelImpl::allow_thinking(const llm::Request& request, std::span<const std::int32_t> prompt,
                                    StructuredOutput& structure) const {
  if (!thinks_ || request.endpoint != llm::Endpoint::kChat) return;
  std::string end;
  for (const std::int32_t token : prompt.last(std::min<std::size_t>(prompt.size(), 8)))
    end += vocab_->piece(token, {.name_special = true});
  while (!end.empty() && std::isspace(static_cast<unsigned char>(end.back())) != 0) end.pop_back();
  const bool begun = end.ends_with("<think>");
  structure.rules.thinking = begun && (structure.grammar.empty() || structure.calls);
  constexpr std::string_view kRoot = "root ::= tagged";
  if (!structure.required || !structure.grammar.starts_with(kRoot)) return;
  const std::string thought = "any-0 \"</think>\" [ \\n]{0,4}";
  structure.grammar.replace(
      0, kRoot.size(),
      begun ? "root ::= " + thought + " tagged" : "root ::= (\"<think>\" " + thought + ")? tagged");
  structure.grammar += model::text_without({"</think>"});
}

/// In the notation of the model's own template, where it has one that can be followed: else null.
std::optional<model::NativePrompt> LocalModelImpl::native_prompt(const llm::Request& request,
                                                                 const StructuredOutput& structure) const {
  if (native_ == nullptr || !structure.calls || !request.response_format.is_free()) return std::nullopt;
  std::vector<model::NativeMessage> messages = native_messages(request);
  if (request.recall && !request.recall->statement.empty() && !messages.empty()) {
    std::string& last = messages.back().message.content;
    last = request.recall->statement + "\n\n" + last;
  }
  std::vector<model::NativeTool> tools;
  for (const OfferedTool& tool : structure.tools)
    tools.push_back({tool.name, tool.description, tool.parameters, &tool.arguments});
  auto prompt = native_->render({messages, tools, structure.required, structure.rules.parallel});
  const bool follows = prompt && (prompt->tagged || !prompt->grammar.empty() || !structure.required);
  if (!follows) return std::nullopt;  // it is asked as a model whose template knows no tools
  return std::move(*prompt);
}

/// Other servers' ways of sampling and ending (llm/request.h).
void LocalModelImpl::add_other_options(const llm::Request& request, Job& job) const {
  const llm::Sampling& from = request.sampling;
  model::SamplerParams& to = job.sampling;
  to.typical_p = from.typical_p;
  to.top_n_sigma = from.top_n_sigma;
  to.xtc_probability = from.xtc_probability;
  to.xtc_threshold = from.xtc_threshold;
  to.repetition_penalty = from.repetition_penalty;
  to.repetition_last_n = from.repetition_last_n;
  if (from.dry.multiplier > 0 && from.dry.last_n != 0) {
    const int all = static_cast<int>(job.prompt.size()) + job.new_tokens_max;
    to.dry = std::make_shared<const model::Dry>(
        *vocab_, model::DryParams{.multiplier = from.dry.multiplier,
                                  .base = from.dry.base,
                                  .allowed_length = from.dry.allowed_length,
                                  .last_n = from.dry.last_n < 0 ? all : std::min(from.dry.last_n, all),
                                  .breakers = from.dry.breakers});
  }
  job.ending = {
      .tokens_min = request.min_tokens, .never = request.ignore_eos, .also_at = request.stop_token_ids};
  if (!request.ignore_eos && request.min_tokens == 0) return;
  for (std::int32_t token = 0; token < vocab_->size(); ++token) {
    if (vocab_->is_eog(token)) job.ending.forbidden.push_back(token);
  }
}

base::Status LocalModelImpl::check_tokens(const llm::Request& request) const {
  for (std::size_t i = 0; i < request.stop_token_ids.size(); ++i) {
    if (request.stop_token_ids[i] < vocab_->size()) continue;
    const auto field = fmt::format("stop_token_ids[{}]", i);
    return base::invalid(fmt::format("'{}' is {}, but the model has tokens 0 to {}", field,
                                     request.stop_token_ids[i], vocab_->size() - 1),
                         field);
  }
  return {};
}

/// Of the user's last turn, as the template puts it into the prompt; none: the prompt is a text.
std::optional<std::string_view> last_turn(const llm::Request& request) {
  if (request.endpoint == llm::Endpoint::kCompletions) return std::nullopt;
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role == "user") return message->content;
  }
  return "";
}

compression::PromptCompression LocalModelImpl::compression_of(const llm::Request& request,
                                                              std::span<const std::int32_t> prompt) const {
  compression::CompressionRequest out{.mode = mode_of(request.kv.mode),
                                      .ratio = request.kv.ratio.value_or(options_.kv_ratio),
                                      .prompt_tokens = static_cast<int>(prompt.size()),
                                      .measured = &kv_quality_};
  if (compression::wants_question(out))
    out.question = compression::find_question(compression::pieces_of(*vocab_, prompt), last_turn(request));
  return compression::PromptCompression(out);
}

/// What turns the model's text into the events that the request wants.
std::shared_ptr<llm::Sink> LocalModelImpl::sink_of(const Arrived& arrived, const StructuredOutput& structure,
                                                   const std::optional<model::NativePrompt>& native) const {
  std::shared_ptr<llm::Sink> sink = arrived.sink;
  const llm::Request& request = arrived.request;
  if (!structure.unfollowed.empty())
    sink = std::make_shared<NotesSink>(std::move(sink), structure.unfollowed);
  if (native && !native->tagged)
    return make_native_call_sink(std::move(sink), request.id, structure.rules, native->reader);
  if (structure.calls || (thinks_ && request.endpoint == llm::Endpoint::kChat))
    return make_tool_call_sink(std::move(sink), request.id, structure.rules);
  return sink;
}

/// What of the request needs no look at its prompt.
void LocalModelImpl::add_plain_options(const Arrived& arrived, Job& job) const {
  const llm::Request& request = arrived.request;
  job.id = request.id;
  job.prefix_scope = prefix_scope(request);
  job.cancel = arrived.cancel;
  job.choices = request.n;
  job.stops = request.stop;
  job.logprobs = request.logprobs;
  job.scores_end = request.endpoint == llm::Endpoint::kCompletions;
  job.sampling = {request.sampling.temperature,
                  request.sampling.top_p,
                  request.sampling.top_k,
                  request.sampling.min_p,
                  request.sampling.frequency_penalty,
                  request.sampling.presence_penalty,
                  request.sampling.seed,
                  request.sampling.logit_bias};
  job.surface = request.surface;
  job.forced = forced_tokens(request);
  job.speculate = request.speculation != llm::Speculation::kOff;
  job.submitted = arrived.at;
  if (!request.budget.seconds) return;
  job.deadline = arrived.at + std::chrono::duration_cast<base::Nanos>(
                                  std::chrono::duration<double>(*request.budget.seconds));
}

/// Compiles the structure's grammar, if it has one. Errors: it is wrong or too complex, naming the field.
base::Status LocalModelImpl::add_form(const StructuredOutput& structure,
                                      const std::optional<model::NativePrompt>& native, Job& job) {
  if (structure.grammar.empty()) return {};
  job.form_field = structure.field;
  auto form = form_of(structure.grammar, job.shown, native && !native->tagged ? native->before : "");
  forms_refused_ += form ? 0 : 1;
  if (!form) return of_field(form.error(), job.form_field);
  job.grammar = std::move(*form);
  return {};
}

base::Status LocalModelImpl::submit(Arrived& arrived) {
  const llm::Request& request = arrived.request;
  const bool has_form = LocalModelImpl::has_form(request);
  form_count_ += has_form ? 1 : 0;
  auto structured = structured_output(request);
  forms_refused_ += has_form && !structured ? 1 : 0;
  TRY_ASSIGN(StructuredOutput structure, std::move(structured));
  if (request.echo && request.logprobs && !request.suffix.empty()) {
    return base::invalid(
        "'echo' with 'logprobs' doesn't go with 'suffix': the model reads the suffix before "
        "it writes. Leave one of them out.",
        "echo");
  }
  TRY(check_tokens(request));
  std::optional<model::NativePrompt> native = native_prompt(request, structure);
  TRY_ASSIGN(auto prompt, native ? base::Result<std::vector<std::int32_t>>(std::move(native->tokens))
                                 : encode(request, structure.instruction));
  TRY(check_length(request, prompt.size()));
  if (native && !native->tagged) structure.grammar = native->grammar;
  allow_thinking(request, prompt, structure);
  auto job = std::make_unique<Job>();
  add_plain_options(arrived, *job);
  const int room = static_cast<int>(info_.context_tokens) - static_cast<int>(prompt.size());
  job->compression = compression_of(request, prompt);
  const int fit =
      scheduler_.new_tokens_that_fit(static_cast<int>(prompt.size()), request.n, job->compression.ratio());
  job->new_tokens_max = std::min(request.max_tokens.value_or(fit), room);
  job->echo = echo_of(request, prompt);
  job->prompt = std::move(prompt);
  if (native) job->stops.insert(job->stops.end(), native->stops.begin(), native->stops.end());
  if (native && !native->tagged) job->shown = native->shown;
  job->sink = std::make_shared<llm::GuardedSink>(sink_of(arrived, structure, native), request.id);
  TRY(add_form(structure, native, *job));
  add_other_options(request, *job);
  return scheduler_.submit(std::move(job));
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
  std::optional<compression::Calibration> calibration;
  if (options.kv_ratio > 1) {
    TRY_ASSIGN(calibration,
               compression::load_or_calibrate(*transformer, *vocab, options.calibration_path,
                                              options.on_calibration_progress, options.on_warning));
  }
  return std::unique_ptr<LocalModel>(new LocalModelImpl(std::move(options), std::move(vocab),
                                                        std::move(chat_template), std::move(transformer),
                                                        std::move(pool), std::move(calibration), clock));
}

}  // namespace pmt::inference
