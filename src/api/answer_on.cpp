#include "api/answer_on.h"

#include <utility>

#include "api/routes/vocabularies.h"
#include "base/cancel.h"

namespace pmt::api {
namespace {

using Body = std::function<base::Result<std::string>(const Exchange&)>;

/// Runs `answer` with the client there, or says that it left.
void run_on(Background& worker, const Exchange& exchange, std::function<void(const Exchange&)> answer) {
  const base::CancelToken left;
  exchange.responder->on_disconnect([left] { left.cancel(); });
  const bool taken = worker.run([left, exchange, answer = std::move(answer)] {
    if (left.cancelled())
      return send_error(*exchange.responder,
                        {base::Code::kCancelled, "The client left."});  // for the records
    answer(exchange);
  });
  if (taken) return;
  send_error(*exchange.responder,
             {base::Code::kUnavailable, "Too much waits for this already: try again later."});
}

void send(const Exchange& exchange, base::Result<std::string> text) {
  if (!text) return send_error(*exchange.responder, text.error());
  send_json(*exchange.responder, 200, *std::move(text));
}

}  // namespace

void answer_on(Background& worker, const Exchange& exchange, Body body) {
  run_on(worker, exchange, [body = std::move(body)](const Exchange& asked) { send(asked, body(asked)); });
}

void answer_on(VocabularyWorkers& workers, const Exchange& exchange,
               std::function<base::Result<std::string>(const Exchange&, bool waits)> body) {
  run_on(workers.quick, exchange, [&workers, body = std::move(body)](const Exchange& asked) {
    auto text = body(asked, false);
    if (text || text.error().field != kNotLoaded) return send(asked, std::move(text));
    answer_on(workers.patient, asked, [body](const Exchange& again) { return body(again, true); });
  });
}

}  // namespace pmt::api
