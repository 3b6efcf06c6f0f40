#include "inference/job_maker.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "compression/question.h"
#include "inference/decoding_request.h"
#include "inference/prefix_scope.h"
#include "llm/shown_passages.h"

namespace pmt::inference {
namespace {

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

/// Of the user's last turn, as the template puts it into the prompt; none: the prompt is a text.
std::optional<std::string_view> last_turn(const llm::Request& request) {
  if (request.endpoint == llm::Endpoint::kCompletions) return std::nullopt;
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role == "user") return message->content;
  }
  return "";
}

}  // namespace

base::Result<std::unique_ptr<Job>> JobMaker::make(const Arrived& arrived) {
  const llm::Request& request = arrived.request;
  TRY_ASSIGN(StructuredOutput structure, model_.forms.read(request));
  if (request.echo && request.logprobs && !request.suffix.empty()) {
    return base::invalid(
        "'echo' with 'logprobs' doesn't go with 'suffix': the model reads the suffix before "
        "it writes. Leave one of them out.",
        "echo");
  }
  TRY(check_ratio(request));
  TRY(check_decoding(request));
  TRY(check_tokens(request));
  TRY_ASSIGN(EncodedPrompt prompt, model_.prompts.encode(request, structure));
  TRY(model_.prompts.check_length(request, prompt.tokens.size()));
  const std::optional<model::NativePrompt>& native = prompt.native;
  if (native && !native->tagged) structure.grammar = native->grammar;
  auto job = std::make_unique<Job>();
  add_plain_options(arrived, *job);
  job->thinking = model_.forms.thinking_of(request, prompt.tokens, native);
  model_.forms.allow_thinking(job->thinking, native, structure);
  job->forced = forced_tokens(request, job->thinking);
  if (model_.runs_elsewhere.empty()) {
    job->compression = compression_of(request, prompt.tokens);
  } else if (request.kv.mode != llm::KvMode::kExact) {
    job->cells_ratio = request.kv.ratio.value_or(1);
  }
  const std::size_t packs = job->compression.active() ? 0 : request.options.get<llm::ShownPassages>().packs;
  if (packs > 0 && model_.runs_elsewhere.empty()) {
    job->passage_ends = std::move(prompt.passage_ends);
    job->passage_ends.resize(std::min(packs + 1, job->passage_ends.size()));  // what is behind them is read
  }
  job->new_tokens_max = new_tokens_max(request, prompt.tokens.size(), job->compression.ratio());
  job->echo = echo_of(request, prompt.tokens);
  job->prompt = std::move(prompt.tokens);
  if (model_.runs_elsewhere.empty()) job->decoding = decoding_of(request, *job);
  if (native) job->stops.insert(job->stops.end(), native->stops.begin(), native->stops.end());
  if (request.endpoint == llm::Endpoint::kChat) job->shown = model_.forms.shown(native);
  job->sink = std::make_shared<llm::GuardedSink>(
      model_.forms.sink_of(request, arrived.sink, structure, native), request.id);
  TRY(model_.forms.add_form(structure, native, *job));
  add_other_options(request, *job);
  return job;
}

int JobMaker::new_tokens_max(const llm::Request& request, std::size_t prompt_tokens, double kv_ratio) const {
  const int tokens = static_cast<int>(prompt_tokens);
  const int room = static_cast<int>(model_.context_tokens) - tokens;
  return std::min(request.max_tokens.value_or(model_.new_tokens_that_fit(tokens, request.n, kv_ratio)), room);
}

/// A ratio is never dropped in silence.
base::Status JobMaker::check_ratio(const llm::Request& request) const {
  const bool asks = request.kv.ratio.value_or(1) > 1 && request.kv.mode != llm::KvMode::kExact;
  if (model_.runs_elsewhere.empty() || !asks || request.kv.best_effort) return {};
  constexpr const char* kField = "permutation.kv.ratio";
  return base::invalid(
      fmt::format(
          "'{}' is {}, but on {} compression is off: {}. Leave the ratio out, or add "
          "\"best_effort\": true beside it, and keys and values of 8 or 4 bits serve, as the answer says",
          kField, *request.kv.ratio, model_.name, model_.runs_elsewhere),
      kField);
}

base::Status JobMaker::check_decoding(const llm::Request& request) const {
  const double ratio = request.kv.ratio.value_or(model_.kv_ratio);
  const bool exact = request.kv.mode == llm::KvMode::kExact;
  if (!request.options.get<DecodingRequest>().compress.value_or(false) ||
      (compression::is_coded(ratio) && !exact))
    return {};
  constexpr const char* kField = "permutation.decoding.compress";
  return base::invalid(
      fmt::format("'{}' compresses what is written to the ratio, from 4 on, but {}. Name a "
                  "'permutation.kv.ratio' of 4 or more, or leave '{}' out",
                  kField, exact ? "'permutation.kv.mode' is exact" : fmt::format("it is {}", ratio), kField),
      kField);
}

base::Status JobMaker::check_tokens(const llm::Request& request) const {
  for (std::size_t i = 0; i < request.stop_token_ids.size(); ++i) {
    if (request.stop_token_ids[i] < model_.vocab.size()) continue;
    const auto field = fmt::format("stop_token_ids[{}]", i);
    return base::invalid(fmt::format("'{}' is {}, but the model has tokens 0 to {}", field,
                                     request.stop_token_ids[i], model_.vocab.size() - 1),
                         field);
  }
  return {};
}

/// With a suffix the tokens stand in another order than the text.
PromptEcho JobMaker::echo_of(const llm::Request& request, const std::vector<std::int32_t>& prompt) const {
  if (!request.echo) return {};
  const bool ids = !request.prompt_tokens.empty();
  return {model_.vocab, ids && !request.suffix.empty() ? request.prompt_tokens : prompt,
          ids ? std::nullopt : std::optional(request.prompt), request.logprobs};
}

/// Texts of the knowledge cache as tokens. A chat's answer ends with its turn; a text goes on after a space. What is
/// known needs no thought.
ForcedTokens JobMaker::forced_tokens(const llm::Request& request, const Thinking& thinking) const {
  ForcedTokens out;
  if (!request.recall) return out;
  const llm::Recall& recall = *request.recall;
  const auto end = model_.vocab.eos();
  if (!recall.answer.empty()) {
    const bool spaced = request.endpoint == llm::Endpoint::kCompletions && !request.prompt.empty() &&
                        std::isspace(static_cast<unsigned char>(request.prompt.back())) == 0;
    out.begin = model_.vocab.tokenize((spaced ? " " : "") + recall.answer, {});
    if (recall.ends && end) out.begin.push_back(*end);
    if (thinking.begun) out.begin.insert(out.begin.begin(), thinking.closing.begin(), thinking.closing.end());
  }
  if (!recall.closing.empty()) {
    out.needle = recall.needle;
    out.closing = model_.vocab.tokenize(recall.closing, {});
    if (end) out.closing.push_back(*end);
  }
  return out;
}

compression::PromptCompression JobMaker::compression_of(const llm::Request& request,
                                                        std::span<const std::int32_t> prompt) const {
  compression::CompressionRequest out{.mode = mode_of(request.kv.mode),
                                      .ratio = request.kv.ratio.value_or(model_.kv_ratio),
                                      .prompt_tokens = static_cast<int>(prompt.size()),
                                      .measured = &model_.kv_quality};
  if (compression::wants_question(out))
    out.question =
        compression::find_question(compression::pieces_of(model_.vocab, prompt), last_turn(request));
  return compression::PromptCompression(out);
}

compression::DecodingOptions JobMaker::decoding_of(const llm::Request& request, const Job& job) const {
  if (!request.options.get<DecodingRequest>().compress.value_or(model_.kv_decoding) ||
      request.kv.mode == llm::KvMode::kExact)
    return {};
  return {.ratio = request.kv.ratio.value_or(model_.kv_ratio),
          .recent_tokens = model_.kv_recent_tokens,
          .prompt_tokens = static_cast<int>(job.prompt.size()),
          .codes_exact = job.choices == 1};
}

/// What of the request needs no look at its prompt.
void JobMaker::add_plain_options(const Arrived& arrived, Job& job) const {
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
  job.user = {.model = model_.name, .tenant = request.tenant, .key = request.key};
  job.speculate = request.speculation;
  job.reading = request.options.get<llm::ReadingProgress>().counts;
  job.submitted = arrived.at;
  if (!request.budget.seconds) return;
  job.deadline = arrived.at + std::chrono::duration_cast<base::Nanos>(
                                  std::chrono::duration<double>(*request.budget.seconds));
}

/// Other servers' ways of sampling and ending (llm/request.h).
void JobMaker::add_other_options(const llm::Request& request, Job& job) const {
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
        model_.vocab, model::DryParams{.multiplier = from.dry.multiplier,
                                       .base = from.dry.base,
                                       .allowed_length = from.dry.allowed_length,
                                       .last_n = from.dry.last_n < 0 ? all : std::min(from.dry.last_n, all),
                                       .breakers = from.dry.breakers});
  }
  job.ending = {
      .tokens_min = request.min_tokens, .never = request.ignore_eos, .also_at = request.stop_token_ids};
  if (!request.ignore_eos && request.min_tokens == 0) return;
  for (std::int32_t token = 0; token < model_.vocab.size(); ++token) {
    if (model_.vocab.is_eog(token)) job.ending.forbidden.push_back(token);
  }
}

}  // namespace pmt::inference
