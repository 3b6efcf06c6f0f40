// A request with several prompts: each is asked as a request of its own, so that each has its own key in the
// response cache and all share the model's batch, and their events become one stream. Choice c of prompt p comes
// as choice p * n + c.
//
// At most kPromptsAtOnce of them are under way, so that one caller's long list doesn't stand before everybody.
// The first failure ends all, told of prompt[p].
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "api/json/parse.h"
#include "base/cancel.h"
#include "llm/completer.h"

namespace pmt::api {

inline constexpr std::size_t kPromptsAtOnce = 64;

/// Returns without waiting. `request`: of each prompt, but for the prompt. `completer` must outlive the
/// terminal event. Thread-safety: `sink` gets no two events at once.
void complete_each(llm::Completer& completer, llm::Request request, std::vector<Prompt> prompts,
                   std::shared_ptr<llm::Sink> sink, base::CancelToken cancel);

/// What came of all of them together: sums, the longest wait, and a cache status that holds for each.
llm::Done merged(std::vector<llm::Done> parts);

}  // namespace pmt::api
