#include "api/completions/completion_routes.h"

#include <utility>

#include "api/completions/completion_start.h"
#include "api/json/render.h"

namespace pmt::api {
namespace {

AnswerShape shape_of(const PreparedCall& prepared, const ApiOptions& options) {
  const CompletionCall& call = prepared.call;
  const bool chat = call.request.endpoint == llm::Endpoint::kChat;
  return {.endpoint = call.request.endpoint,
          .id = (chat ? "chatcmpl-" : "cmpl-") + random_hex(options.random, 12),
          .n = prepared.shown,
          .best_of = prepared.drawn,
          .echo = call.request.echo,
          .logprobs = prepared.logprobs,
          .include_usage = call.include_usage};
}

base::Result<PreparedCall> read_call(llm::Endpoint endpoint, const ApiOptions& options, Exchange& exchange) {
  TRY_ASSIGN(CompletionCall call, read_completion(endpoint, exchange.request.body, options.engine_options));
  return prepare_completion(std::move(call), std::move(exchange.request.body), options, exchange);
}

void complete(llm::Endpoint endpoint, const ApiOptions& options, Exchange exchange) {
  base::Result<PreparedCall> prepared = read_call(endpoint, options, exchange);
  if (!prepared) return send_error(*exchange.responder, prepared.error());
  const AnswerShape shape = shape_of(*prepared, options);
  const Writers writers{.whole = [&shape] { return std::make_unique<AnswerRenderer>(shape); },
                        .streamed = [&shape] { return std::make_unique<StreamRenderer>(shape); }};
  start_completion(*std::move(prepared), writers, options, exchange);
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
