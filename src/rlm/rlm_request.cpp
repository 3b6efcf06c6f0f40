#include "rlm/rlm_request.h"

namespace pmt::rlm {
namespace {

nlohmann::json key_of(const CustomTools& tools) {
  nlohmann::json out = nlohmann::json::array();
  for (const CustomTool& tool : tools) out.push_back({tool.name, tool.python, tool.description});
  return out;
}

}  // namespace

nlohmann::json RlmRequest::key() const {
  const auto if_given = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(); };
  nlohmann::json key = {{"context", context},
                        {"depth_max", if_given(depth_max)},
                        {"iterations_max", if_given(iterations_max)},
                        {"kv_compression", if_given(kv_compression)},
                        {"speculation", if_given(speculation)}};
  // Only where they are given: entries on disk are keyed by the others.
  if (!tools.empty()) key["tools"] = key_of(tools);
  if (sub_tools) key["sub_tools"] = key_of(*sub_tools);
  if (!session.empty()) key["session"] = session;
  return key;
}

const char* only_rlm(const llm::Request& request) {
  if (is_in_session(request)) return "a session was named";
  return request.options.get<RlmRequest>().tools.empty() ? nullptr : "tools for a program were given";
}

bool is_in_session(const llm::Request& request) {
  return !request.options.get<RlmRequest>().session.empty();
}

std::span<const std::string> given_context(const llm::Request& request) {
  return request.options.get<RlmRequest>().context;
}

}  // namespace pmt::rlm
