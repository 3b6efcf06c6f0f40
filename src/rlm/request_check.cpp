#include "rlm/request_check.h"

#include <fmt/format.h>

#include "rlm/rlm_request.h"

namespace pmt::rlm {

std::vector<std::string> unused_members(const llm::Request& request) {
  const llm::Sampling& sampling = request.sampling;
  const llm::Sampling none;
  std::vector<std::string> out;
  const auto add = [&out](bool is_there, const char* name) {
    if (is_there) out.emplace_back(name);
  };
  add(!request.tools.empty(), "tools");
  add(!request.stop.empty(), "stop");
  add(request.logprobs.has_value(), "logprobs");
  add(sampling.temperature != none.temperature && sampling.temperature != 0, "temperature");
  add(sampling.top_p != none.top_p, "top_p");
  add(sampling.frequency_penalty != none.frequency_penalty, "frequency_penalty");
  add(sampling.presence_penalty != none.presence_penalty, "presence_penalty");
  add(!sampling.logit_bias.empty(), "logit_bias");
  return out;
}

base::Status check_request(const llm::Request& request, const Model& root) {
  const auto& asked = request.options.get<RlmRequest>();
  if (request.n != 1) return base::invalid("'n' must be 1 for the model rlm", "n");
  if (!asked.tools.empty() && writes_no_programs(root)) {
    return base::invalid(
        fmt::format(
            "'permutation.rlm.custom_tools' are for programs, and a program of ours looks into the context: {}. "
            "Leave them out, or serve rlm with another root ([rlm] root)",
            why_no_programs(root)),
        "permutation.rlm.custom_tools");
  }
  if (request.response_format.is_free() || !root.check_form) return {};
  llm::Request formed;
  formed.response_format = request.response_format;
  return root.check_form(formed);
}

}  // namespace pmt::rlm
