#include "api/routes/supported.h"

#include <fmt/format.h>

#include "api/json/fields.h"

namespace pmt::api {
namespace {

base::Error not_by_this_model(std::string field) {
  return name_field(base::invalid("is not supported yet by this model: leave it out", std::move(field)));
}

base::Status check_openai_fields(const CompletionCall& call) {
  if (!call.refusals.empty()) return call.refusals.front();
  if (!call.unsupported.empty()) return not_by_this_model(call.unsupported.front());
  return {};
}

/// What happens inside a local model can't be asked of another server.
base::Status check_remote(const llm::Request& r) {
  const auto local = [](std::string field) {
    return name_field(base::invalid("works on local models only: leave it out", std::move(field)));
  };
  if (r.kv.ratio || r.kv.mode != llm::KvMode::kAuto) return local("permutation.kv");
  if (r.speculation == llm::Speculation::kPromptLookup) return local("permutation.speculation");
  if (!r.knowledge.empty()) return local("permutation.knowledge");
  return {};
}

}  // namespace

base::Status check_supported(const CompletionCall& call, bool remote) {
  return remote ? check_remote(call.request) : check_openai_fields(call);
}

}  // namespace pmt::api
