// The models by name.
#pragma once

#include <string>

#include "api/api.h"
#include "base/result.h"

namespace pmt::api {

/// Errors: kNotFound under "model", naming those that there are.
base::Result<const ServedModel*> find_model(const ApiOptions& options, const std::string& name);

/// One entry of GET /v1/models.
nlohmann::json model_json(const std::string& name, const ServedModel& model);

}  // namespace pmt::api
