#include "pipeline/unified_request.h"

namespace pmt::pipeline {

nlohmann::json UnifiedRequest::key() const {
  const auto if_given = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(); };
  return {{"basic_kv", if_given(basic_kv)},
          {"continual_kv", if_given(continual_kv)},
          {"inference_kv", if_given(inference_kv)},
          {"ratio", if_given(ratio)},
          {"rlm_context_threshold", if_given(rlm_context_threshold)}};
}

}  // namespace pmt::pipeline
