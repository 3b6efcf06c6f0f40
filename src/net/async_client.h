// An HTTP/1.1 client for many requests at once, over TCP or TLS: a coroutine a request, connections kept
// alive and used again. A request that a server's handler starts on its own thread is carried out there
// (io_loop.h): waking another thread twice would cost more than the rest. Every other one runs on the
// client's I/O thread.
//
// TLS verifies the server's certificate against the system's authorities (or `ca_file`) and its name; there
// is no way to turn that off. Nothing is read while a piece is being handled, so a listener that is slow
// holds the server back through TCP's window instead of filling memory.
//
// Thread-safety: any thread may call anything, but stop() and the destructor (not from a listener).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/result.h"
#include "net/http.h"
#include "net/url.h"

namespace pmt::net {

struct AsyncCall {
  Url url;                      // the target is url.path + `target`
  std::string method = "POST";  // upper case
  std::string target = "/";
  Headers headers = {};  // host and content-length are added
  std::string body = {};
  double connect_timeout_s =
      10;  // to connect and shake hands; resolving a name takes the system's own limits
  double first_byte_timeout_s =
      60;                       // from the request's last byte to the answer's first; 0: none but the total
  double stall_timeout_s = 60;  // between two pieces of the answer; 0: none but the total
  double total_timeout_s = 600;
};

/// Hears of one exchange, on one thread (the starting one if it is a server's, else the client's), never
/// before start() has returned unless the client has stopped; must not block.
class ExchangeListener {
 public:
  virtual ~ExchangeListener() = default;
  /// Once, before the first piece of the body. Names in lower case.
  virtual void on_head(int status, const Headers& headers) = 0;
  /// A piece of the body, in order. False: no more is wanted, the connection is closed.
  virtual bool on_body(std::string_view bytes) = 0;
  /// The last call, always. Errors: kUnavailable (can't connect, or its certificate can't be trusted),
  /// kDeadline (says which limit), kIo (broke off), kCorrupt (not HTTP), kCancelled, kInvalidArgument (can't
  /// be written as HTTP).
  virtual void on_end(base::Status status) = 0;
};

struct AsyncClientOptions {
  std::string ca_file = {};               // PEM; empty: the system's
  std::size_t idle_connections_max = 64;  // on each thread
  double idle_timeout_s = 50;             // a kept connection is not used after it
};

struct AsyncClientStats {
  std::uint64_t opened = 0;  // connections
  std::uint64_t reused = 0;  // exchanges on one that was kept
  std::int64_t running = 0;  // exchanges
};

class AsyncClient {
 public:
  /// Errors: `ca_file` can't be read or holds no certificate.
  static base::Result<std::unique_ptr<AsyncClient>> create(AsyncClientOptions options);
  virtual ~AsyncClient() = default;  // stop()

  /// `cancel` closes the connection. A kept connection that the server has closed meanwhile is replaced by a
  /// fresh one, unseen.
  virtual void start(AsyncCall call, std::shared_ptr<ExchangeListener> listener,
                     const base::CancelToken& cancel) = 0;
  /// Calls `fn` on the client's thread after `seconds`, or soon after `cancel` or stop().
  virtual void after(double seconds, std::function<void()> fn, const base::CancelToken& cancel) = 0;
  /// Cancels what runs, on every thread; returns when every listener has had its end. Later calls end at
  /// once, kUnavailable.
  virtual void stop() = 0;
  virtual AsyncClientStats stats() const = 0;
};

}  // namespace pmt::net
