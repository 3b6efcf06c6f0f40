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

/// What is said of one model's tokens means nothing where several have a part in an answer.
base::Status check_engine(const CompletionCall& call) {
  const llm::Request& r = call.request;
  const auto single = [](std::string field) {
    return name_field(
        base::invalid("is about one model's own tokens, and this one is put together of several: ask "
                      "one of them, as GET /v1/models lists them",
                      std::move(field)));
  };
  if (!r.suffix.empty()) return single("suffix");
  if (r.echo && r.logprobs) return single("echo");
  if (call.best_of > r.n) return single("best_of");
  return {};
}

}  // namespace

base::Status check_supported(const CompletionCall& call, Answerer who) {
  if (who == Answerer::kUpstream) return check_remote(call.request);
  TRY(check_openai_fields(call));
  return who == Answerer::kEngine ? check_engine(call) : base::Status();
}

}  // namespace pmt::api
