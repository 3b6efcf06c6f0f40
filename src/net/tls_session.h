// TLS as a filter between bytes from a socket and bytes for it: OpenSSL over memory buffers, so that reading,
// deadlines and coalesced writes stay the connection's own. TLS 1.2 and up, no renegotiation.
// Thread-safety: a TlsContext is shared; a TlsSession belongs to one thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace pmt::net {

/// A server's certificate and key, which may be renewed while it serves.
class TlsContext {
 public:
  /// Both files in PEM; the certificate with its chain. Errors: kInvalidArgument, naming the file and what is
  /// wrong with it.
  static base::Result<std::shared_ptr<TlsContext>> load(const std::string& certificate_file,
                                                        const std::string& key_file);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// New connections get the other's certificate, whose own users get this one's; those that there are keep
  /// what they have. `other` must not be exchanged elsewhere meanwhile.
  void exchange(TlsContext& other);

 private:
  friend class TlsSession;
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_st* new_session() const;

  mutable std::mutex mutex_;
  ssl_ctx_st* context_;  // under mutex_
};

/// The server's side of one connection.
class TlsSession {
 public:
  /// kPlainHttp: the client speaks HTTP without TLS; kBroken: not TLS, or none that we take.
  enum class State { kOpen, kEnded, kPlainHttp, kBroken };

  explicit TlsSession(const TlsContext& context);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  /// Takes bytes from the socket and appends what they say to `plain`. What must be sent in return waits for
  /// seal(), in every state.
  State receive(std::string_view bytes, std::string* plain);
  /// Appends to `wire` the handshake's own bytes that wait, then `plain`, encrypted.
  /// Requires, for a `plain` that isn't empty: receive() has given bytes before.
  bool seal(std::string_view plain, std::string* wire);
  /// Says goodbye (once); the bytes wait for seal().
  void close();

 private:
  ssl_st* ssl_;
  bool closed_ = false;
};

}  // namespace pmt::net
