// A small blocking HTTP/1.1 client for the command line and for tests. Over plain TCP it is one connection, kept alive; over TLS
// an AsyncClient (async_client.h says what it trusts) that is waited for.
// Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace pmt::net {

struct ClientResponse {
  int status = 0;
  Headers headers;  // names in lower case
  std::string body;
  std::string_view header(std::string_view name) const;
};

class HttpClient {
 public:
  /// `url`: http://host:port or https://host:port. `timeout_s`: the longest wait for a connection, for the next bytes or for
  /// room to send; 0 waits for ever. `ca_file`: PEM, whom to trust over https instead of the system's authorities.
  /// Errors: kInvalidArgument (the URL, or a `ca_file` beside http), of the `ca_file`, kUnavailable (nobody answers there; over
  /// https the first request tells it).
  static base::Result<std::unique_ptr<HttpClient>> connect(const std::string& url, int timeout_s,
                                                           const std::string& ca_file = {});
  virtual ~HttpClient() = default;
  using OnBytes = std::function<bool(std::string_view)>;
  /// A kept connection that the server has closed meanwhile is opened once more.
  /// Errors: kUnavailable, kDeadline, kIo (the connection broke mid-answer), kCorrupt (not HTTP).
  base::Result<ClientResponse> request(const std::string& method, const std::string& target,
                                       const Headers& headers, const std::string& body) {
    return exchange(method, target, headers, body, nullptr);
  }
  /// Streams a response body: `on_bytes` gets each piece as it arrives, over https on a thread of the client's while the
  /// caller waits, and returns false to hang up (no error). An answer of status 400 and above is not streamed but
  /// collected in `body`.
  base::Result<ClientResponse> stream(const std::string& method, const std::string& target,
                                      const Headers& headers, const std::string& body,
                                      const OnBytes& on_bytes) {
    return exchange(method, target, headers, body, &on_bytes);
  }

 private:
  /// `on_bytes`: null collects the body, whatever the status.
  virtual base::Result<ClientResponse> exchange(const std::string& method, const std::string& target,
                                                const Headers& headers, const std::string& body,
                                                const OnBytes* on_bytes) = 0;
};

}  // namespace pmt::net
