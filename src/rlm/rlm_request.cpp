#include "rlm/rlm_request.h"

namespace pmt::rlm {

nlohmann::json RlmRequest::key() const {
  const auto if_given = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(); };
  return {{"context", context},
          {"depth_max", if_given(depth_max)},
          {"iterations_max", if_given(iterations_max)},
          {"kv_compression", if_given(kv_compression)},
          {"speculation", if_given(speculation)}};
}

std::span<const std::string> given_context(const llm::Request& request) {
  return request.options.get<RlmRequest>().context;
}

}  // namespace pmt::rlm
