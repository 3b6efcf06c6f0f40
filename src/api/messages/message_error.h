// Errors as Anthropic's API says them: {"type": "error", "error": {"type", "message"}, "request_id"}.
// Whoever refuses a request on those paths (the gate, the router, the routes) writes OpenAI's shape; it is
// put into this one where answers leave (observe/observed_responder.h), so none can be forgotten.
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "net/http.h"

namespace pmt::api {

/// Whether this path belongs to POST /v1/messages and what is below it.
bool speaks_messages(std::string_view path);

/// Anthropic's word for an HTTP status.
const char* message_error_type(int status);

/// This API's errors have no member for the field at fault: the message names it.
std::string with_place(std::string message, std::string_view field);

std::string message_error_body(int status, std::string_view message, std::string_view request_id);

/// Changes an error in OpenAI's shape; anything else stays.
void reshape_for_messages(net::HttpResponse& response, std::string_view request_id);

}  // namespace pmt::api
