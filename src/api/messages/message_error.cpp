#include "api/messages/message_error.h"

#include <fmt/format.h>

#include "api/json/json_writer.h"
#include "base/json.h"

namespace pmt::api {

bool speaks_messages(std::string_view path) {
  constexpr std::string_view kPaths[] = {"/v1/messages", "/messages"};
  for (const std::string_view root : kPaths) {
    if (path == root || (path.starts_with(root) && path[root.size()] == '/')) return true;
  }
  return false;
}

const char* message_error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
    case 405:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

std::string with_place(std::string message, std::string_view field) {
  if (field.empty() || message.starts_with('\'')) return message;
  return fmt::format("'{}': {}", field, message);
}

std::string message_error_body(int status, std::string_view message, std::string_view request_id) {
  std::string out;
  ObjectWriter w(out);
  w.string("type", "error");
  ObjectWriter error(w.member("error"));
  error.string("type", message_error_type(status));
  error.string("message", message);
  error.end();
  if (!request_id.empty()) w.string("request_id", request_id);
  w.end();
  return out;
}

void reshape_for_messages(net::HttpResponse& response, std::string_view request_id) {
  if (response.status < 400) return;
  const auto body = base::parse_json(response.body);
  if (!body || !base::at(*body, "error").is_object()) return;
  const nlohmann::json& error = base::at(*body, "error");
  response.body = message_error_body(
      response.status, with_place(base::text_at(error, "message"), base::text_at(error, "param")),
      request_id);
}

}  // namespace pmt::api
