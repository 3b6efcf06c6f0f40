#include "api/routes/model_routes.h"

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "api/json/json_writer.h"
#include "api/routes/model_list.h"

namespace pmt::api {
namespace {

/// "NAME/load" -> NAME; a name may have slashes itself.
std::string name_before(std::string_view end, const std::string& tail) {
  return tail.size() > end.size() && tail.ends_with(end) ? tail.substr(0, tail.size() - end.size()) : "";
}

/// Errors: kNotFound; kConflict, it can't be loaded or unloaded by itself.
base::Status check_on_demand(const ApiOptions& options, const std::string& name) {
  TRY_ASSIGN(const ServedModel* const model, find_model(options, name));
  if (model->on_demand && options.set_loaded) return {};
  const char* const why = model->remote   ? "is another server's"
                          : model->engine ? "is put together of other models"
                                          : "was loaded at the start, and stays";
  return base::Error{base::Code::kConflict,
                     fmt::format("The model '{}' {}: only models that come on demand ([models] dir, or a "
                                 "[[model]] with load = \"first_use\") are loaded and unloaded.",
                                 name.substr(0, 64), why),
                     "model"};
}

void set_loaded(const ApiOptions& options, const Exchange& exchange) {
  const std::string loaded = name_before("/load", exchange.tail),
                    unloaded = name_before("/unload", exchange.tail);
  const std::string name = loaded.empty() ? unloaded : loaded;
  if (name.empty())
    return send_error(*exchange.responder, {base::Code::kNotFound,
                                            "POST goes to /v1/models/NAME/load or /v1/models/NAME/unload."});
  if (const base::Status checked = check_on_demand(options, name); !checked)
    return send_error(*exchange.responder, checked.error());
  options.set_loaded(name, !loaded.empty(),
                     [&options, name, responder = exchange.responder](const base::Status& done) {
                       if (!done) return send_error(*responder, done.error());
                       send_json(*responder, 200, to_text(model_json(name, options.models.at(name))));
                     });
}

}  // namespace

void add_model_routes(Router& router, const ApiOptions& options) {
  router.add("POST", "/v1/models/{name}",
             [&options](const Exchange& exchange) { set_loaded(options, exchange); });
}

}  // namespace pmt::api
