// One JSON call to a Permutation server, for commands that ask a running one. Its key, if it wants one, comes
// from PERMUTATION_API_KEY.
// Thread-safety: any thread.
#pragma once

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "net/http_client.h"

namespace pmt::app {

inline constexpr const char* kDefaultUrl = "http://127.0.0.1:8080";

struct ServerAddress {
  std::string url = {};      // http:// or https://; "": none is meant
  std::string ca_file = {};  // PEM; "": whom the system trusts
};

/// --url and --ca-file. `what` is the help of --url.
void add_server_options(CLI::App& command, ServerAddress& server, const std::string& what = "The server");

/// A client for requests that may take `timeout_s` between two bytes, and the headers that each of them needs. Errors: as
/// net::HttpClient::connect, with the way out.
base::Result<std::unique_ptr<net::HttpClient>> connect_to(const ServerAddress& server, int timeout_s);
net::Headers key_headers();
/// Those, and that the body is JSON.
net::Headers json_headers();

/// Errors: nothing listens there (says how to start a server), an error status (the server's own message), an
/// answer that isn't JSON.
base::Result<nlohmann::json> server_call(const ServerAddress& server, const std::string& method,
                                         const std::string& target, const std::string& body = {});

/// The same for an answer that is text, as it comes.
base::Result<std::string> server_text(const ServerAddress& server, const std::string& method,
                                      const std::string& target, const std::string& body = {});

/// What an error response of the server says: OpenAI's error.message, else the status.
std::string error_message_of(const net::ClientResponse& response);

/// `text` with everything but unreserved characters percent-encoded, for a query.
std::string percent_encoded(const std::string& text);

}  // namespace pmt::app
