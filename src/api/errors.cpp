#include "api/errors.h"

#include <algorithm>
#include <cmath>

#include "api/json/json_writer.h"
#include "base/utf8.h"

namespace pmt::api {
namespace {

using base::Code;

constexpr char kBadRequest[] = "invalid_request_error";
constexpr char kServer[] = "server_error";
constexpr int kRetryAfterS = 1;
constexpr double kRetryAfterMaxS = 86'400;

ErrorKind too_large(const base::Error& error) {
  // A field of a request is too long for the model; a whole body is too long for the server.
  const auto begins = [&error](const char* name) { return error.field.starts_with(name); };
  const bool context = error.field == "messages" || error.field == "max_tokens" || error.field == "query" ||
                       error.field == "max_output_tokens" || error.field == "previous_response_id" ||
                       begins("prompt") || begins("input") || begins("documents");
  if (context) return {400, kBadRequest, "context_length_exceeded"};
  return {413, kBadRequest, "request_too_large"};
}

/// A message may quote what the caller sent, which may be of any length.
constexpr std::size_t kMessageBytesMax = 1'500;

}  // namespace

ErrorKind kind_of(const base::Error& error) {
  switch (error.code) {
    case Code::kInvalidArgument:
      return {400, kBadRequest, nullptr};
    case Code::kUnauthorized:
      return {401, kBadRequest, "invalid_api_key"};
    case Code::kForbidden:
      return {403, kBadRequest, "insufficient_permissions"};
    case Code::kNotFound:
      return {404, kBadRequest, error.field == "model" ? "model_not_found" : "not_found"};
    case Code::kTooLarge:
      return too_large(error);
    case Code::kUnprocessable:
      if (error.field == kOnlyIfCachedField) return {504, kBadRequest, "not_cached"};
      return {422, kBadRequest, "unprocessable"};
    case Code::kConflict:
      return {409, kBadRequest, "conflict"};
    case Code::kExhausted:
      return {429, "rate_limit_error", "rate_limit_exceeded", kRetryAfterS};
    case Code::kOverBudget:
      return {429, "insufficient_quota", "insufficient_quota"};
    case Code::kUnavailable:
      return {503, kServer, "service_unavailable", kRetryAfterS};
    case Code::kCancelled:
      return {499, kBadRequest, "cancelled"};
    case Code::kDeadline:
      return {504, kServer, "timeout"};
    case Code::kCorrupt:
      return {500, kServer, "corrupt"};
    case Code::kIo:
      return {500, kServer, "io"};
    case Code::kBadGateway:
      return {502, kServer, "bad_gateway"};
    case Code::kInternal:
      return {500, kServer, "internal_error"};
  }
  return {500, kServer, "internal_error"};
}

std::string error_body(const base::Error& error) {
  const ErrorKind kind = kind_of(error);
  const base::ForeignRefusal told = error.foreign ? *error.foreign : base::ForeignRefusal{};
  const bool ours = told.type.empty() && told.code.empty();
  const std::string type = told.type.empty() ? kind.type : told.type;
  const std::string code = !ours || kind.code == nullptr ? told.code : kind.code;
  std::string out;
  ObjectWriter outer(out);
  ObjectWriter inner(outer.member("error"));
  inner.string("message", base::cut_utf8(error.message, kMessageBytesMax));
  inner.string("type", type);
  if (error.field.empty()) {
    inner.null("param");
  } else {
    inner.string("param", error.field);
  }
  if (code.empty()) {
    inner.null("code");
  } else {
    inner.string("code", code);
  }
  inner.end();
  outer.end();
  return out;
}

net::HttpResponse error_response(const base::Error& error) {
  const ErrorKind kind = kind_of(error);
  const bool told = error.foreign && error.foreign->status != 0;
  net::HttpResponse response{
      told ? error.foreign->status : kind.status, {{"content-type", "application/json"}}, error_body(error)};
  const int said_s = static_cast<int>(std::ceil(std::min(error.retry_after_s, kRetryAfterMaxS)));
  if (const int seconds = std::max(kind.retry_after_s, said_s); seconds > 0)
    response.headers.emplace_back("retry-after", std::to_string(seconds));
  return response;
}

}  // namespace pmt::api
