#include "api/routes/rlm_session_routes.h"

#include <string>
#include <utility>

#include "api/json/json_writer.h"

namespace pmt::api {
namespace {

using nlohmann::json;

constexpr char kSessionObject[] = "rlm.session";

json session_json(const RlmSession& session) {
  json out = {
      {"id", session.id}, {"object", kSessionObject}, {"bytes", session.bytes}, {"busy", session.busy}};
  if (session.busy) return out;
  out["turns"] = session.turns;
  out["contexts"] = session.contexts;
  out["repl"] = session.repl;
  out["idle_s"] = session.idle_s;
  return out;
}

void list_sessions(const ApiOptions& options, const Exchange& exchange) {
  json all = json::array();
  if (options.rlm_sessions) {
    for (const RlmSession& session : options.rlm_sessions(exchange.caller->tenant()))
      all.push_back(session_json(session));
  }
  send_json(*exchange.responder, 200, to_text({{"object", "list"}, {"data", std::move(all)}}));
}

void end_session(const ApiOptions& options, const Exchange& exchange) {
  const base::Status ended =
      options.end_rlm_session
          ? options.end_rlm_session(exchange.caller->tenant(), exchange.tail)
          : base::Status(
                base::Error{base::Code::kNotFound, "There are no sessions here: no `rlm` is served.", "id"});
  if (!ended) return send_error(*exchange.responder, ended.error());
  send_json(*exchange.responder, 200,
            to_text({{"id", exchange.tail}, {"object", kSessionObject}, {"deleted", true}}));
}

}  // namespace

void add_rlm_session_routes(Router& router, const ApiOptions& options) {
  router.add("GET", "/v1/rlm/sessions",
             [&options](const Exchange& exchange) { list_sessions(options, exchange); });
  router.add("DELETE", "/v1/rlm/sessions/{id}",
             [&options](const Exchange& exchange) { end_session(options, exchange); });
}

}  // namespace pmt::api
