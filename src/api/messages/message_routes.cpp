#include "api/messages/message_routes.h"

#include <utility>

#include <fmt/format.h>

#include "api/answer_on.h"
#include "api/completions/completion_start.h"
#include "api/json/json_writer.h"
#include "api/messages/message_request.h"
#include "api/messages/message_writer.h"
#include "api/routes/vocabularies.h"

namespace pmt::api {
namespace {

struct Wanted {
  PreparedCall prepared;
  FieldNames names;
  bool omit_thinking = false;
};

base::Result<Wanted> read_call(const ApiOptions& options, const Exchange& exchange, bool counting) {
  const auto is_remote = [&options](std::string_view model) {
    const auto at = options.models.find(std::string(model));
    return at != options.models.end() && at->second.remote;
  };
  TRY_ASSIGN(MessageCall call, read_message_request(exchange.request.body, {.is_remote = is_remote,
                                                                            .engines = options.engine_options,
                                                                            .counting = counting}));
  auto prepared = prepare_completion(std::move(call.call), std::move(call.chat), options, exchange,
                                     {.api = llm::Api::kMessages, .text = exchange.request.body});
  if (!prepared) return call.names.own_words(prepared.error());
  return Wanted{*std::move(prepared), std::move(call.names), call.omit_thinking};
}

void create(const ApiOptions& options, const Exchange& exchange) {
  base::Result<Wanted> wanted = read_call(options, exchange, false);
  if (!wanted) return send_error(*exchange.responder, wanted.error());
  const MessageShape shape{.id = "msg_" + random_hex(options.random, 12),
                           .request_id = exchange.id,
                           .omit_thinking = wanted->omit_thinking};
  const Writers writers{.whole = [&shape] { return make_message_writer(shape); },
                        .streamed = [&shape] { return make_message_stream_writer(shape); }};
  start_completion(std::move(wanted->prepared), writers, options, exchange,
                   {.names = std::move(wanted->names)});
}

/// Errors: only another server knows.
base::Result<LentVocabulary> counted_in(const Wanted& wanted, bool waits) {
  const ServedModel& model = *wanted.prepared.model;
  if (model.lend_vocabulary) return vocabulary_of(model, waits);
  if (model.counts_in != nullptr) return LentVocabulary(LentVocabulary(), model.counts_in);
  const std::string& name = wanted.prepared.call.request.model;
  return base::invalid(
      fmt::format(
          "'model': the tokens of '{}' are counted by another server, which isn't asked: name a local "
          "model.",
          name.substr(0, 64)),
      "model");
}

base::Result<std::string> count(const ApiOptions& options, const Exchange& exchange, bool waits) {
  TRY_ASSIGN(const Wanted wanted, read_call(options, exchange, true));
  TRY_ASSIGN(const LentVocabulary vocabulary, counted_in(wanted, waits));
  const auto prompt = vocabulary->prompt_of(wanted.prepared.call.request);
  if (!prompt) return wanted.names.own_words(prompt.error());
  std::string out;
  ObjectWriter w(out);
  w.integer("input_tokens", static_cast<std::int64_t>(prompt->size()));
  w.end();
  return out;
}

}  // namespace

void add_message_routes(Router& router, const ApiOptions& options, VocabularyWorkers& counting) {
  router.add("POST", "/v1/messages", [&options](const Exchange& exchange) { create(options, exchange); });
  router.add("POST", "/v1/messages/count_tokens", [&options, &counting](const Exchange& exchange) {
    answer_on(counting, exchange,
              [&options](const Exchange& asked, bool waits) { return count(options, asked, waits); });
  });
}

}  // namespace pmt::api
