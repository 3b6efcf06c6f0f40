#include "redis/tls.h"

#include <arpa/inet.h>
#include <poll.h>

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/openssl_reason.h"

namespace pmt::redis {
namespace {

using base::openssl_reason;

base::Error unusable(const std::string& file, const char* what, const char* option) {
  return base::invalid(
      fmt::format("{}: {} holds no usable {} in PEM ({})", option, file, what, openssl_reason()), option);
}

bool is_address(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  return inet_pton(AF_INET, host.c_str(), &v4) == 1 || inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

base::Status use_certificate(SSL_CTX* context, const TlsOptions& options) {
  if (options.certificate_file.empty() != options.key_file.empty())
    return base::invalid("tls_certificate and tls_key go together: set both", "tls_certificate");
  if (options.certificate_file.empty()) return {};
  // OpenSSL would wait for a pipe, and says little of a folder.
  TRY(base::check_file(options.certificate_file, "tls_certificate"));
  TRY(base::check_file(options.key_file, "tls_key"));
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1)
    return unusable(options.certificate_file, "certificate", "tls_certificate");
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return unusable(options.key_file, "private key", "tls_key");
  return {};
}

base::Status use_authorities(SSL_CTX* context, const TlsOptions& options) {
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    return {};
  }
  TRY(base::check_file(options.ca_file, "tls_ca"));
  if (SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1)
    return unusable(options.ca_file, "certificates", "tls_ca");
  return {};
}

}  // namespace

base::Result<std::shared_ptr<const Tls>> Tls::load(TlsOptions options) {
  std::shared_ptr<Tls> tls(new Tls(std::move(options)));
  tls->context_ = SSL_CTX_new(TLS_client_method());
  SSL_CTX* const context = tls->context_;
  if (context == nullptr)
    return base::Error{base::Code::kInternal, "OpenSSL gives no TLS: " + openssl_reason()};
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context, tls->options_.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  TRY(use_authorities(context, tls->options_));
  TRY(use_certificate(context, tls->options_));
  return std::shared_ptr<const Tls>(std::move(tls));
}

Tls::~Tls() {
  SSL_CTX_free(context_);
}

base::Result<std::unique_ptr<TlsSession>> TlsSession::over(int fd, const Tls& tls, const std::string& host) {
  std::unique_ptr<TlsSession> session(new TlsSession(SSL_new(tls.context_)));
  SSL* const ssl = session->ssl_;
  if (ssl == nullptr || SSL_set_fd(ssl, fd) != 1)
    return base::Error{base::Code::kUnavailable, "TLS: " + openssl_reason()};
  const std::string& name = tls.options_.server_name.empty() ? host : tls.options_.server_name;
  if (is_address(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl, name.c_str());
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl, name.c_str());
  }
  SSL_set_connect_state(ssl);
  return session;
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

base::Result<Moved> TlsSession::moved(int result) {
  if (result > 0) return Moved{.bytes = static_cast<std::size_t>(result)};
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return Moved{.wait_for = POLLIN};
    case SSL_ERROR_WANT_WRITE:
      return Moved{.wait_for = POLLOUT};
    case SSL_ERROR_ZERO_RETURN:
      return base::Error{base::Code::kUnavailable, "the connection was closed"};
    default:
      break;
  }
  const long verified = SSL_get_verify_result(ssl_);
  const bool refused = SSL_is_init_finished(ssl_) == 0 && SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE;
  if (refused && verified != X509_V_OK) {
    ERR_clear_error();
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("its certificate is refused ({}): name whose it is in tls_ca, or what it is for "
                    "in tls_server_name",
                    X509_verify_cert_error_string(verified))};
  }
  const bool reasoned = ERR_peek_last_error() != 0;
  return base::Error{base::Code::kUnavailable,
                     reasoned ? "TLS: " + openssl_reason() : "the connection was closed"};
}

base::Result<Moved> TlsSession::handshake() {
  ERR_clear_error();
  return moved(SSL_do_handshake(ssl_));
}

base::Result<Moved> TlsSession::send(std::string_view bytes) {
  ERR_clear_error();
  constexpr std::size_t kMost = 1U << 30;  // an int's worth
  return moved(SSL_write(ssl_, bytes.data(), static_cast<int>(std::min(bytes.size(), kMost))));
}

base::Result<Moved> TlsSession::receive(std::span<char> into) {
  ERR_clear_error();
  return moved(SSL_read(ssl_, into.data(), static_cast<int>(into.size())));
}

}  // namespace pmt::redis
