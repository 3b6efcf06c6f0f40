#include "api/model_list.h"

#include <fmt/format.h>

namespace pmt::api {

base::Result<const ServedModel*> find_model(const ApiOptions& options, const std::string& name) {
  const auto at = options.models.find(name);
  if (at != options.models.end()) return &at->second;
  std::string names;
  for (const auto& [known, model] : options.models) names += (names.empty() ? "" : ", ") + known;
  return base::Error{
      base::Code::kNotFound,
      fmt::format("The model '{}' does not exist here. Available: {}.", name.substr(0, 64), names), "model"};
}

nlohmann::json model_json(const std::string& name, const ServedModel& model) {
  nlohmann::json out = {{"id", name},
                        {"object", "model"},
                        {"created", model.created_unix_s},
                        {"owned_by", model.owned_by},
                        {"description", model.description}};
  if (!model.meta.is_null()) out["meta"] = model.meta;
  return out;
}

}  // namespace pmt::api
