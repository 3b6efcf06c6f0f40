#include "app/commands/server_call.h"

#include <cctype>
#include <cstdlib>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::app {

namespace {

constexpr int kTimeoutS = 30;

}  // namespace

void add_server_options(CLI::App& command, ServerAddress& server, const std::string& what) {
  command.add_option("--url", server.url, what)->capture_default_str();
  command.add_option("--ca-file", server.ca_file,
                     "Whom to trust over https://, a PEM file, instead of the system's authorities");
}

base::Result<std::unique_ptr<net::HttpClient>> connect_to(const ServerAddress& server, int timeout_s) {
  auto client = net::HttpClient::connect(server.url, timeout_s, server.ca_file);
  if (client || client.error().code != base::Code::kUnavailable) return client;
  base::Error error = client.error();
  error.message += ". Start a server with `permutation serve`, or name one with --url";
  return error;
}

/// A server with keys wants one: from the environment, since arguments show in the list of processes.
net::Headers key_headers() {
  const char* const key = std::getenv("PERMUTATION_API_KEY");
  if (key == nullptr || *key == '\0') return {};
  return {{"authorization", std::string("Bearer ") + key}};
}

net::Headers json_headers() {
  net::Headers headers = key_headers();
  headers.emplace_back("content-type", "application/json");
  return headers;
}

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

base::Result<std::string> server_text(const ServerAddress& server, const std::string& method,
                                      const std::string& target, const std::string& body) {
  TRY_ASSIGN(const auto client, connect_to(server, kTimeoutS));
  TRY_ASSIGN(net::ClientResponse response, client->request(method, target, key_headers(), body));
  if (response.status >= 400) {
    return base::Error{base::Code::kUnavailable, fmt::format("{} {} on {}: {}", method, target, server.url,
                                                             error_message_of(response))};
  }
  return std::move(response.body);
}

base::Result<nlohmann::json> server_call(const ServerAddress& server, const std::string& method,
                                         const std::string& target, const std::string& body) {
  TRY_ASSIGN(const std::string text, server_text(server, method, target, body));
  auto json = base::parse_json(text, text.size());  // of that size it was taken
  if (!json) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{} answered {} with what is {}: is it a Permutation server?", server.url,
                                   target, json.error().message)};
  }
  return json;
}

}  // namespace pmt::app
