// The models by name.
#pragma once

#include <string>

#include "api/api.h"
#include "base/result.h"

namespace pmt::api {

/// Errors: kNotFound under "model", naming those that there are.
base::Result<const ServedModel*> find_model(const ApiOptions& options, const std::string& name);

/// Errors: kNotFound under "model", naming those that there are, or why there is none.
base::Result<const ServedEmbedder*> find_embedder(const ApiOptions& options, const std::string& name);

/// One entry of GET /v1/models.
nlohmann::json model_json(const std::string& name, const ServedModel& model);
nlohmann::json model_json(const std::string& name, const ServedEmbedder& model);

/// Whatever has that name. Errors: as find_model.
base::Result<nlohmann::json> any_model_json(const ApiOptions& options, const std::string& name);

}  // namespace pmt::api
