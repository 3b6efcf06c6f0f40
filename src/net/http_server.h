// An HTTP/1.1 server on Boost.Asio and Beast, one coroutine a connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/http.h"

namespace pmt::net {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free one
  int threads = 1;
  std::size_t header_bytes_max = 64 * 1024;
  std::size_t body_bytes_max = 32 * 1024 * 1024;  // above: 413
  std::size_t connections_max = 4096;             // above: 503 and close
  int idle_timeout_s = 75;                        // between requests
  int request_timeout_s = 30;                     // to receive one whole request: 408
};

class HttpServer {
 public:
  /// Binds and starts serving on its own threads. Errors: the address can't be bound (says which and why).
  static base::Result<std::unique_ptr<HttpServer>> start(ServerOptions options, Handler handler);
  virtual ~HttpServer() = default;
  virtual std::uint16_t port() const = 0;
  /// Stops accepting, lets running answers finish for at most `grace_ms`, then closes. Idempotent.
  virtual void stop(int grace_ms) = 0;
};

}  // namespace pmt::net
