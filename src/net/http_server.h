// An HTTP/1.1 server on Boost.Asio and Beast, one coroutine a connection. Each I/O thread has an io_context
// and connections of its own, so one thread ever touches a connection and no strand is needed. What it
// refuses itself it answers in OpenAI's error shape: 400 (malformed), 408, 413, 431, 501 (a transfer coding
// other than chunked), 503 (connections_max), 500 (a handler that threw or dropped its Responder). Cost:
// about 10 us of CPU for a small kept-alive request answered inside the handler; 4 KB a connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"
#include "net/tls_session.h"

namespace pmt::net {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free one
  int threads = 1;
  std::size_t header_bytes_max = 64 * 1024;
  std::size_t body_bytes_max = 32 * 1024 * 1024;    // above: 413
  std::size_t connections_max = 4096;               // above: 503 and close
  int idle_timeout_s = 75;                          // between requests
  int request_timeout_s = 30;                       // to receive one whole request: 408
  int write_timeout_s = 60;                         // with a client that takes no byte of its answer
  std::size_t output_bytes_max = 16 * 1024 * 1024;  // queued in one stream: above, the client counts as gone
  std::shared_ptr<TlsContext> tls = {};             // set: https only
  /// Puts what the server refuses itself into another shape than OpenAI's, for the paths that have one. Called on
  /// I/O threads; must not throw. `path`: "" where the request broke before it.
  std::function<void(std::string_view path, HttpResponse& refusal)> shape_refusal = {};
};

class HttpServer {
 public:
  /// Whether start could bind now: for those who have long work to do before. Errors: as start.
  static base::Status check(const ServerOptions& options);
  /// Binds and starts serving on its own threads. `handler` is called from all of them at once.
  /// Errors: kInvalidArgument or kIo, the address can't be bound (says which and why).
  static base::Result<std::unique_ptr<HttpServer>> start(ServerOptions options, Handler handler);
  virtual ~HttpServer() = default;  // stop(0)
  virtual std::uint16_t port() const = 0;
  /// Stops accepting, lets running answers finish for at most `grace_ms`, then closes; returns when the
  /// threads have ended. Idempotent. Any thread but an I/O thread (so not from a handler).
  virtual void stop(int grace_ms) = 0;
};

}  // namespace pmt::net
