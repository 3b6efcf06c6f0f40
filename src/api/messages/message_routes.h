// Anthropic's Messages API: POST /v1/messages and POST /v1/messages/count_tokens. `anthropic-version` and
// `anthropic-beta` are taken and not asked: what a request needs stands in its body.
#pragma once

#include "api/answer_on.h"
#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// `options` and `counting` (where prompts are counted) are kept by reference.
void add_message_routes(Router& router, const ApiOptions& options, VocabularyWorkers& counting);

}  // namespace pmt::api
