#include "api/supported.h"

#include <fmt/format.h>

#include "api/fields.h"

namespace pmt::api {
namespace {

base::Error not_built(std::string field, const char* instead) {
  return name_field(base::invalid(fmt::format("is not built yet: {}", instead), std::move(field)));
}

base::Error not_by_this_model(std::string field) {
  return name_field(base::invalid("is not supported yet by this model: leave it out", std::move(field)));
}

base::Status check_openai_fields(const CompletionCall& call) {
  const llm::Request& r = call.request;
  if (!call.unsupported.empty()) return not_by_this_model(call.unsupported.front());
  if (r.tools.is_array() && !r.tools.empty()) return not_by_this_model("tools");
  if (!r.tool_choice.is_null() && r.tool_choice != "none" && r.tool_choice != "auto") {
    return not_by_this_model("tool_choice");
  }
  if (!r.response_format.is_null() && r.response_format.value("type", nlohmann::json()) != "text") {
    return not_by_this_model("response_format");
  }
  return {};
}

base::Status check_engine(const llm::Request& r) {
  if (r.model == "rlm" || r.model == "unified") return {};  // their ledger keeps every limit
  if (r.budget.seconds) return not_built("permutation.budget.seconds", "budget.tokens works");
  if (r.budget.usd) return not_built("permutation.budget.usd", "budget.tokens works");
  return {};
}

}  // namespace

base::Status check_supported(const CompletionCall& call) {
  TRY(check_openai_fields(call));
  return check_engine(call.request);
}

}  // namespace pmt::api
