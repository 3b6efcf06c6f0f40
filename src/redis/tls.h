// TLS to a Redis: who it may be, and the session over one connected socket. hiredis of Debian 12 has no TLS of its
// own. TLS 1.2 and above; the peer's certificate is checked, and its name, unless told not to.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace pmt::redis {

struct TlsOptions {
  std::string ca_file = {};           // PEM: whose certificates are good; "": the system's list
  std::string certificate_file = {};  // PEM: shown to a server that asks who we are, with key_file
  std::string key_file = {};
  std::string server_name = {};  // what its certificate must be for; "": the host that is connected to
  bool verify = true;            // false: anybody's certificate will do, so anybody may listen in between
  bool operator==(const TlsOptions&) const = default;
};

/// Thread-safety: const after load.
class Tls {
 public:
  /// Errors: kInvalidArgument, naming the option, with its file.
  static base::Result<std::shared_ptr<const Tls>> load(TlsOptions options);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

 private:
  friend class TlsSession;
  explicit Tls(TlsOptions options) : options_(std::move(options)) {}
  const TlsOptions options_;
  ssl_ctx_st* context_ = nullptr;
};

/// What came of one step of a socket that doesn't block.
struct Moved {
  std::size_t bytes = 0;
  short wait_for = 0;  // POLLIN or POLLOUT, where nothing moved
};

/// Thread-safety: one thread at a time. Errors: kUnavailable, with OpenSSL's reason.
class TlsSession {
 public:
  /// `fd`: connected, doesn't block, outlives this. `host`: as it was connected to.
  static base::Result<std::unique_ptr<TlsSession>> over(int fd, const Tls& tls, const std::string& host);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// 0 to wait for: done.
  base::Result<Moved> handshake();
  base::Result<Moved> send(std::string_view bytes);
  base::Result<Moved> receive(std::span<char> into);

 private:
  explicit TlsSession(ssl_st* ssl) : ssl_(ssl) {}
  base::Result<Moved> moved(int result);

  ssl_st* ssl_;
};

}  // namespace pmt::redis
