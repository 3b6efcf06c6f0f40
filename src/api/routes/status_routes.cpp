#include "api/routes/status_routes.h"

#include "api/json/json_writer.h"
#include "api/routes/model_list.h"
#include "base/version.h"

namespace pmt::api {

// NOLINTBEGIN(readability-identifier-naming): named after openapi.json, by the generator
extern const char k_openapi_json[];
extern const std::size_t k_openapi_json_size;
// NOLINTEND(readability-identifier-naming)

namespace {

using nlohmann::json;

void health(const ApiOptions& options, const Exchange& exchange) {
  json models = json::array();
  for (const auto& [name, model] : options.models) models.push_back(name);
  const json body = {{"status", "ok"},
                     {"version", base::kVersion},
                     {"build", base::kBuildFlags},
                     {"models", std::move(models)}};
  send_json(*exchange.responder, 200, to_text(body));
}

void list_models(const ApiOptions& options, const Exchange& exchange) {
  json data = json::array();
  for (const auto& [name, model] : options.models) data.push_back(model_json(name, model));
  for (const auto& [name, model] : options.embedders) data.push_back(model_json(name, model));
  send_json(*exchange.responder, 200, to_text({{"object", "list"}, {"data", std::move(data)}}));
}

void show_model(const ApiOptions& options, const Exchange& exchange) {
  const base::Result<json> model = any_model_json(options, exchange.tail);
  if (!model) return send_error(*exchange.responder, model.error());
  send_json(*exchange.responder, 200, to_text(*model));
}

void show_kv(const ApiOptions& options, const Exchange& exchange) {
  if (!options.kv_stats) {
    return send_error(*exchange.responder,
                      {base::Code::kNotFound, "No local model runs here, so no page pool."});
  }
  send_json(*exchange.responder, 200, to_text(options.kv_stats()));
}

/// JSON, or the table of `permutation audit` for whoever prefers text/plain.
void show_audit(const ApiOptions& options, const Exchange& exchange) {
  if (!options.audit) {
    return send_error(*exchange.responder,
                      {base::Code::kNotFound, "This server was started without an audit."});
  }
  const audit::Audit audit = options.audit();
  const bool as_text = exchange.request.header("accept").find("text/plain") != std::string_view::npos;
  if (!as_text) return send_json(*exchange.responder, 200, to_text(audit::to_json(audit)));
  exchange.responder->send({200, {{"content-type", "text/plain; charset=utf-8"}}, audit::to_text(audit)});
}

void show_openapi(const ApiOptions&, const Exchange& exchange) {
  send_json(*exchange.responder, 200, std::string(k_openapi_json, k_openapi_json_size));
}

}  // namespace

void add_status_routes(Router& router, const ApiOptions& options) {
  const auto add = [&](const char* pattern, void (*answer)(const ApiOptions&, const Exchange&)) {
    router.add("GET", pattern, [&options, answer](const Exchange& exchange) { answer(options, exchange); });
  };
  add("/health", health);
  add("/openapi.json", show_openapi);
  add("/v1/models", list_models);
  add("/v1/models/{name}", show_model);
  add("/v1/kv", show_kv);
  add("/v1/audit", show_audit);
}

}  // namespace pmt::api
