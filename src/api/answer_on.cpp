#include "api/answer_on.h"

#include <utility>

#include "base/cancel.h"

namespace pmt::api {

void answer_on(Background& worker, const Exchange& exchange,
               std::function<base::Result<std::string>(const Exchange&)> body) {
  const base::CancelToken left;
  exchange.responder->on_disconnect([left] { left.cancel(); });
  const bool taken = worker.run([left, exchange, body = std::move(body)] {
    if (left.cancelled())
      return send_error(*exchange.responder,
                        {base::Code::kCancelled, "The client left."});  // for the records
    auto text = body(exchange);
    if (!text) return send_error(*exchange.responder, text.error());
    send_json(*exchange.responder, 200, *std::move(text));
  });
  if (taken) return;
  send_error(*exchange.responder,
             {base::Code::kUnavailable, "Too much waits for this already: try again later."});
}

}  // namespace pmt::api
