#include "api/completions/completion_routes.h"

#include <fmt/format.h>

#include "api/completions/completion_sink.h"
#include "api/completions/sent_body.h"
#include "api/errors.h"
#include "api/json/parse.h"
#include "api/observe/observed_sink.h"
#include "api/routes/knowledge_routes.h"
#include "api/routes/model_list.h"
#include "api/routes/supported.h"
#include "telemetry/trace_context.h"

namespace pmt::api {
namespace {

struct Wanted {
  CompletionCall call;
  const ServedModel* model = nullptr;
};

base::Result<Wanted> read_call(llm::Endpoint endpoint, const ApiOptions& options, Exchange& exchange) {
  TRY_ASSIGN(CompletionCall call, read_completion(endpoint, exchange.request.body));
  TRY(apply_cache_control(exchange.request.header("cache-control"), call.request.cache));
  take_knowledge_of_name(options, call.request);
  TRY_ASSIGN(const ServedModel* model, find_model(options, call.request.model));
  TRY(check_supported(call, model->remote));
  if (model->forwards) call.request.sent = keep_body(std::move(exchange.request.body), call);
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
  TRY(resolve_knowledge(*model, call.request));
  call.request.stream = call.stream;
  return Wanted{std::move(call), model};
}

AnswerShape shape_of(const CompletionCall& call, const ApiOptions& options) {
  const bool chat = call.request.endpoint == llm::Endpoint::kChat;
  return {.endpoint = call.request.endpoint,
          .id = (chat ? "chatcmpl-" : "cmpl-") + random_hex(options.random, 12),
          .logprobs = call.request.logprobs,
          .include_usage = call.include_usage};
}

void complete(llm::Endpoint endpoint, const ApiOptions& options, Exchange exchange) {
  base::Result<Wanted> wanted = read_call(endpoint, options, exchange);
  if (!wanted) return send_error(*exchange.responder, wanted.error());
  CompletionCall* const call = &wanted->call;

  const SinkOptions sink_options{.shape = shape_of(*call, options),
                                 .only_if_cached = call->request.cache.only_if_cached};
  const std::shared_ptr<CompletionSink> sink = call->stream
                                                   ? make_stream_sink(sink_options, exchange.responder)
                                                   : make_json_sink(sink_options, exchange.responder);
  const base::CancelToken cancel;
  auto observed = observe_completion(call->request, call->stream, exchange.record, sink, *options.clock,
                                     {.keep_texts = options.keep_texts});
  wanted->model->completer->start(std::move(call->request), std::move(observed), cancel);
  // A cache hit is answered by now, and needs nobody to watch its connection.
  if (!sink->finished()) exchange.responder->on_disconnect([cancel] { cancel.cancel(); });
}

}  // namespace

void add_completion_routes(Router& router, const ApiOptions& options) {
  router.add("POST", "/v1/chat/completions",
             [&options](Exchange exchange) { complete(llm::Endpoint::kChat, options, std::move(exchange)); });
  router.add("POST", "/v1/completions", [&options](Exchange exchange) {
    complete(llm::Endpoint::kCompletions, options, std::move(exchange));
  });
}

}  // namespace pmt::api
