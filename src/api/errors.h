// base::Error -> HTTP: the only place that knows both. Statuses as OpenAI's API uses them; bodies in its
// shape.
#pragma once

#include <string>

#include "base/result.h"
#include "net/http.h"

namespace pmt::api {

struct ErrorKind {
  int status;
  const char* type;  // OpenAI's "type"
  const char* code;  // OpenAI's "code", null if it has none
  int retry_after_s = 0;
};

/// A context that is too long is 400 context_length_exceeded, as at OpenAI; any other kTooLarge is 413.
/// kUnprocessable under "only-if-cached" is HTTP's own 504 (RFC 9111, 5.2.1.7).
ErrorKind kind_of(const base::Error& error);

/// {"error":{"message","type","param","code"}}. Type, code and status are an upstream's own where it gave some.
std::string error_body(const base::Error& error);
net::HttpResponse error_response(const base::Error& error);

/// The field that an only-if-cached miss names.
inline constexpr char kOnlyIfCachedField[] = "cache-control";

}  // namespace pmt::api
