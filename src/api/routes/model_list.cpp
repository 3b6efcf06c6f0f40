#include "api/routes/model_list.h"

#include <fmt/format.h>

namespace pmt::api {
namespace {

template <class Models>
std::string names_of(const Models& models) {
  std::string names;
  for (const auto& [known, model] : models) names += (names.empty() ? "" : ", ") + known;
  return names;
}

base::Error no_model(const std::string& message) {
  return base::Error{base::Code::kNotFound, message, "model"};
}

template <class Served>
nlohmann::json json_of(const std::string& name, const Served& model) {
  nlohmann::json out = {{"id", name},
                        {"object", "model"},
                        {"created", model.created_unix_s},
                        {"owned_by", model.owned_by},
                        {"description", model.description}};
  if (!model.meta.is_null()) out["meta"] = model.meta;
  return out;
}

}  // namespace

base::Result<const ServedModel*> find_model(const ApiOptions& options, const std::string& name) {
  const auto at = options.models.find(name);
  if (at != options.models.end()) return &at->second;
  if (options.embedders.contains(name)) {
    return no_model(fmt::format(
        "The model '{}' makes embeddings (POST /v1/embeddings), it doesn't write. Models that do: {}.", name,
        names_of(options.models)));
  }
  return no_model(fmt::format("The model '{}' does not exist here. Available: {}.", name.substr(0, 64),
                              names_of(options.models)));
}

base::Result<const ServedEmbedder*> find_embedder(const ApiOptions& options, const std::string& name) {
  const auto at = options.embedders.find(name);
  if (at != options.embedders.end()) return &at->second;
  if (options.embedders.empty()) {
    return no_model("This server makes no embeddings" +
                    (options.embedders_off.empty() ? "." : ": " + options.embedders_off));
  }
  const bool writes = options.models.contains(name);
  return no_model(fmt::format("The model '{}' {}. Models for embeddings: {}.", name.substr(0, 64),
                              writes ? "writes, it makes no embeddings" : "does not exist here",
                              names_of(options.embedders)));
}

nlohmann::json model_json(const std::string& name, const ServedModel& model) {
  nlohmann::json out = json_of(name, model);
  if (model.calibration) out["calibration"] = model.calibration();
  if (model.residency) out.update(model.residency());
  return out;
}
nlohmann::json model_json(const std::string& name, const ServedEmbedder& model) {
  return json_of(name, model);
}

base::Result<nlohmann::json> any_model_json(const ApiOptions& options, const std::string& name) {
  if (const auto at = options.embedders.find(name); at != options.embedders.end()) {
    return model_json(name, at->second);
  }
  TRY_ASSIGN(const ServedModel* const model, find_model(options, name));
  return model_json(name, *model);
}

}  // namespace pmt::api
