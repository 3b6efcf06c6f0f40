#include "api/completions/completion_start.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "api/completions/prompt_list.h"
#include "api/completions/sent_body.h"
#include "api/errors.h"
#include "api/observe/observed_sink.h"
#include "api/routes/knowledge_routes.h"
#include "api/routes/model_list.h"
#include "api/routes/supported.h"
#include "llm/reading_progress.h"
#include "telemetry/trace_context.h"

namespace pmt::api {
namespace {

/// A model draws as many as it is told; which are the best, their log-probabilities say.
void draw_best_of(PreparedCall& prepared) {
  CompletionCall& call = prepared.call;
  if (call.best_of <= call.request.n) return;
  prepared.drawn = call.best_of;
  call.request.n = call.best_of;
  if (!call.request.logprobs) call.request.logprobs = 0;
}

/// Members of the request that its model has no use for.
std::vector<std::string> ignored_of(const ServedModel& model, const llm::Request& request) {
  if (model.forwards) return {};
  std::vector<std::string> out = request.ignored;
  const bool thinks = model.thinks_now ? model.thinks_now() : model.thinks;
  if (!thinks && !request.thinking.effort.empty()) out.emplace_back("reasoning_effort");
  if (!thinks && request.thinking.budget_tokens) out.emplace_back("permutation.thinking");
  return out;
}

/// What a stream says while it waits: that the model is loaded, then how much of the prompt it has read.
std::function<std::string()> doing_of(const ServedModel& model, llm::Request& request) {
  if (model.remote) return model.doing;
  const auto counts = std::make_shared<llm::ReadingProgress::Counts>();
  request.options.set(llm::ReadingProgress{counts});
  return [loading = model.doing, counts] {
    std::string what = loading ? loading() : "";
    const std::int64_t tokens = counts->tokens, read = counts->read;
    if (what.empty() && read < tokens)
      what = fmt::format("reading the prompt, {} of {} tokens", read, tokens);
    return what;
  };
}

}  // namespace

base::Result<PreparedCall> prepare_completion(CompletionCall read, std::string body,
                                              const ApiOptions& options, const Exchange& exchange,
                                              llm::SentBody::Own own) {
  PreparedCall prepared{.call = std::move(read), .logprobs = std::nullopt};
  CompletionCall& call = prepared.call;
  TRY(apply_cache_control(exchange.request.header("cache-control"), call.request.cache));
  take_knowledge_of_name(options, call.request);
  TRY_ASSIGN(const ServedModel* model, find_model(options, call.request.model));
  TRY(check_supported(call, model->remote   ? Answerer::kUpstream
                            : model->engine ? Answerer::kEngine
                                            : Answerer::kModel));
  prepared.model = model;
  prepared.shown = call.request.n;
  prepared.logprobs = call.request.logprobs;
  if (!model->remote) draw_best_of(prepared);
  const bool spoken =
      own.api != llm::Api::kChat && std::ranges::find(model->native, own.api) != model->native.end();
  if (model->forwards)
    call.request.sent =
        keep_body(std::move(body), call, spoken ? std::optional(std::move(own)) : std::nullopt);
  if (model->remote) call.prompts.clear();  // it gets the list as it was written
  if (call.request.cache.only_if_cached && options.cache == nullptr) {
    return base::Error{base::Code::kUnprocessable, "This server runs without a response cache.",
                       kOnlyIfCachedField};
  }
  if (call.request.cache.semantic_error_max && options.semantic == nullptr) {
    return base::invalid(
        fmt::format("'permutation.cache.semantic' needs the response cache and the embedding model, and this "
                    "server runs without{}{}",
                    options.embedders_off.empty() ? "" : ": ", options.embedders_off),
        "permutation.cache.semantic");
  }
  call.request.id = exchange.id;
  call.request.traceparent = telemetry::traceparent(exchange.record->trace, exchange.record->span_id);
  call.request.tenant = exchange.caller->tenant();
  call.request.key = exchange.caller->key.name;
  TRY(resolve_knowledge(*model, call.request));
  call.request.stream = call.stream;
  return prepared;
}

void start_completion(PreparedCall prepared, const Writers& writers, const ApiOptions& options,
                      const Exchange& exchange, StartOptions how) {
  CompletionCall& call = prepared.call;
  SinkOptions sink_options{.only_if_cached = call.request.cache.only_if_cached,
                           .names = std::move(how.names),
                           .ignored = ignored_of(*prepared.model, call.request)};
  const std::shared_ptr<CompletionSink> sink =
      call.stream ? make_stream_sink(writers.streamed(), std::move(sink_options), exchange.responder,
                                     doing_of(*prepared.model, call.request))
                  : make_json_sink(writers.whole(), std::move(sink_options), exchange.responder);
  auto observed = observe_completion(call.request, call.stream, exchange.record, sink, *options.clock,
                                     {.keep_texts = options.keep_texts});
  llm::Completer& completer = *prepared.model->completer;
  if (call.prompts.empty()) {
    completer.start(std::move(call.request), std::move(observed), how.cancel);
  } else {
    complete_each(completer, std::move(call.request), std::move(call.prompts), std::move(observed),
                  how.cancel);
  }
  if (how.outlives_client) return;
  // A cache hit is answered by now, and needs nobody to watch its connection.
  if (!sink->finished()) exchange.responder->on_disconnect([cancel = how.cancel] { cancel.cancel(); });
}

}  // namespace pmt::api
