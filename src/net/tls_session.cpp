#include "net/tls_session.h"

#include <array>
#include <new>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/file.h"
#include "base/openssl_reason.h"

namespace pmt::net {
namespace {

using base::openssl_reason;

void take_pending(SSL* ssl, std::string* wire) {
  BIO* const out = SSL_get_wbio(ssl);
  std::array<char, 16 * 1024> chunk;
  for (int size; (size = BIO_read(out, chunk.data(), chunk.size())) > 0;) {
    wire->append(chunk.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace

base::Result<std::shared_ptr<TlsContext>> TlsContext::load(const std::string& certificate_file,
                                                           const std::string& key_file) {
  // OpenSSL would wait for a pipe, and says little of a folder.
  TRY(base::check_file(certificate_file, "tls_certificate"));
  TRY(base::check_file(key_file, "tls_key"));
  std::shared_ptr<TlsContext> context(new TlsContext(SSL_CTX_new(TLS_server_method())));
  SSL_CTX* const raw = context->context_;
  if (raw == nullptr) return base::Error{base::Code::kInternal, "OpenSSL gives no TLS: " + openssl_reason()};
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(raw, certificate_file.c_str()) != 1) {
    return base::invalid(
        fmt::format("{} holds no usable certificate in PEM ({})", certificate_file, openssl_reason()),
        "tls_certificate");
  }
  if (SSL_CTX_use_PrivateKey_file(raw, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return base::invalid(
        fmt::format("{} holds no usable private key in PEM ({})", key_file, openssl_reason()), "tls_key");
  }
  if (SSL_CTX_check_private_key(raw) != 1) {
    return base::invalid(fmt::format("{} is not the key of {}", key_file, certificate_file), "tls_key");
  }
  return context;
}

void TlsContext::exchange(TlsContext& other) {
  const std::scoped_lock lock(mutex_, other.mutex_);
  std::swap(context_, other.context_);
}

ssl_st* TlsContext::new_session() const {
  const std::lock_guard lock(mutex_);
  return SSL_new(context_);  // which keeps the context for as long as the session lives
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

TlsSession::TlsSession(const TlsContext& context) : ssl_(context.new_session()) {
  if (ssl_ == nullptr) throw std::bad_alloc();
  SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(ssl_);
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

TlsSession::State TlsSession::receive(std::string_view bytes, std::string* plain) {
  ERR_clear_error();
  BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
  std::array<char, 16 * 1024> chunk;
  for (;;) {
    const int size = SSL_read(ssl_, chunk.data(), chunk.size());
    if (size > 0) {
      plain->append(chunk.data(), static_cast<std::size_t>(size));
      continue;
    }
    const int error = SSL_get_error(ssl_, size);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return State::kOpen;
    if (error == SSL_ERROR_ZERO_RETURN) return State::kEnded;
    const bool http = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_HTTP_REQUEST;
    ERR_clear_error();
    return http ? State::kPlainHttp : State::kBroken;
  }
}

bool TlsSession::seal(std::string_view plain, std::string* wire) {
  ERR_clear_error();
  constexpr std::size_t kPieceMax = 1U << 30;  // SSL_write takes an int
  bool sound = true;
  while (sound && !plain.empty()) {
    const int written = SSL_write(ssl_, plain.data(), static_cast<int>(std::min(plain.size(), kPieceMax)));
    sound = written > 0;
    if (sound) plain.remove_prefix(static_cast<std::size_t>(written));
  }
  take_pending(ssl_, wire);
  return sound;
}

void TlsSession::close() {
  if (closed_) return;
  closed_ = true;
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_) == 1) SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace pmt::net
