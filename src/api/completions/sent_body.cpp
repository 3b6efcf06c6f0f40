#include "api/completions/sent_body.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "api/json/fields.h"
#include "api/routes/supported.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

/// Members of which llm::Request has all, so that a cache's key needs no more of them: messages with what they
/// have more in each (llm::Message::more), the others unless they were refused.
bool is_held(std::string_view name, const CompletionCall& call) {
  static constexpr std::array<std::string_view, 6> kNames = {"stop",   "tools", "tool_choice",
                                                             "prompt", "n",     "response_format"};
  if (name == "messages") return true;
  if (name == "prompt" && !call.prompts.empty()) return false;
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) return false;
  return std::none_of(call.refusals.begin(), call.refusals.end(), [name](const base::Error& refusal) {
    return std::string_view(refusal.field).substr(0, refusal.field.find_first_of(".[")) == name;
  });
}

/// What a local model can't do where it stands in for an upstream: it is asked one question, once.
base::Status check_in_place(const CompletionCall& call) {
  TRY(check_supported(call, Answerer::kModel));
  const auto once = [](const char* field) {
    return name_field(base::invalid("can't be asked of a local model that stands in for an upstream", field));
  };
  if (!call.prompts.empty()) return once("prompt");
  if (call.best_of > call.request.n) return once("best_of");
  return {};
}

}  // namespace

std::shared_ptr<const llm::SentBody> keep_body(std::string body, const CompletionCall& call,
                                               std::optional<llm::SentBody::Own> own) {
  const llm::Request& request = call.request;
  auto sent = std::make_shared<llm::SentBody>();
  sent->text = std::move(body);
  sent->own = std::move(own);
  std::vector<base::JsonMember> members = base::members_of(sent->text);
  sent->members.reserve(members.size());
  for (base::JsonMember& member : members) {
    const bool held = is_held(member.name, call);
    sent->members.push_back({std::move(member), held});
  }
  sent->sampling = request.sampling;
  sent->max_tokens = call.max_tokens;
  sent->logprobs = request.logprobs;
  sent->n = request.n;
  if (const base::Status here = check_in_place(call); !here) sent->not_local = here.error();
  return sent;
}

}  // namespace pmt::api
