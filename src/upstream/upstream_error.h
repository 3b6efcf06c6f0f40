// What an upstream's refusals mean to our caller. Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "net/http.h"

namespace pmt::upstream {

/// An HTTP status of 400 and above. The message is the upstream's own, cut to a few hundred bytes; where its body
/// is an error in OpenAI's shape, so are status, type and code (base::Error::foreign), but for a refusal of our
/// own key, which is no fault of our caller's.
/// 400, 422 kInvalidArgument; 401, 403 kUnauthorized; 404 kNotFound; 408 kDeadline; 413 kTooLarge;
/// 429 kExhausted; other 4xx kInvalidArgument; 5xx kUnavailable. Retry-After (seconds or a date) goes into
/// retry_after_s.
base::Error status_error(int status, const net::Headers& headers, std::string_view body,
                         std::int64_t now_unix_s);

/// What is no answer of such a server: kBadGateway. `api`: whose answer it should be.
base::Error garbage(const std::string& what, std::string_view api = "OpenAI's");

/// An `error` member inside an answer of status 200.
base::Error stream_error(const nlohmann::json& error);
/// The same where the error's `type` or `code` is a word of the Messages or the Responses API, which stands for a
/// status there.
base::Error typed_error(const nlohmann::json& error);

/// Seconds of a Retry-After value; 0 if it is neither a number nor a date to come.
double retry_after(std::string_view value, std::int64_t now_unix_s);

/// Whether the same request may go better later or elsewhere: not if the request itself is at fault.
bool is_retryable(base::Code code);
/// The same of asking this server again soon: not if its quota is used up.
bool is_retryable(const base::Error& error);

}  // namespace pmt::upstream
