#include "app/commands/server_call.h"

#include <cctype>
#include <cstdlib>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::app {

namespace {

constexpr int kTimeoutS = 30;

/// A server with keys wants one: from the environment, since arguments show in the list of processes.
net::Headers key_headers() {
  const char* const key = std::getenv("PERMUTATION_API_KEY");
  if (key == nullptr || *key == '\0') return {};
  return {{"authorization", std::string("Bearer ") + key}};
}

}  // namespace

std::string error_message_of(const net::ClientResponse& response) {
  const auto body = base::parse_json(response.body);
  const std::string message = body ? base::text_at(base::at(*body, "error"), "message") : "";
  if (!message.empty()) return message;
  return fmt::format("it answered HTTP {}", response.status);
}

std::string percent_encoded(const std::string& text) {
  std::string encoded;
  for (const unsigned char c : text) {
    const bool plain = std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~';
    encoded += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return encoded;
}

base::Result<std::string> server_text(const std::string& url, const std::string& method,
                                      const std::string& target, const std::string& body) {
  auto client = net::HttpClient::connect(url, kTimeoutS);
  if (!client) {
    base::Error error = client.error();
    if (error.code != base::Code::kInvalidArgument) {
      error.message += ". Start a server with `permutation serve`, or name one with --url";
    }
    return error;
  }
  TRY_ASSIGN(net::ClientResponse response, (*client)->request(method, target, key_headers(), body));
  if (response.status >= 400) {
    return base::Error{base::Code::kUnavailable,
                       fmt::format("{} {} on {}: {}", method, target, url, error_message_of(response))};
  }
  return std::move(response.body);
}

base::Result<nlohmann::json> server_call(const std::string& url, const std::string& method,
                                         const std::string& target, const std::string& body) {
  TRY_ASSIGN(const std::string text, server_text(url, method, target, body));
  auto json = base::parse_json(text, text.size());  // of that size it was taken
  if (!json) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{} answered {} with what is {}: is it a Permutation server?", url, target,
                                   json.error().message)};
  }
  return json;
}

}  // namespace pmt::app
