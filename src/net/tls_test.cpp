// A real OpenSSL client against the server: handshake, keep-alive, streams, a big answer, and what is
// refused.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include <gmock/gmock.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "net/test_peer.h"

namespace pmt::net {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A key and a certificate signed by itself, in files that go with it.
struct Certificate {
  Certificate() {
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    X509* const x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_NAME* const name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"),
                               -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_sign(x509, key, EVP_sha256());
    std::FILE* file = std::fopen(certificate.c_str(), "w");
    PEM_write_X509(file, x509);
    std::fclose(file);
    file = std::fopen(private_key.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  ~Certificate() {
    std::filesystem::remove(certificate);
    std::filesystem::remove(private_key);
  }
  static std::string path(const char* name) {
    return (std::filesystem::path(::testing::TempDir()) / (std::to_string(::getpid()) + name)).string();
  }
  const std::string certificate = path("tls_test.crt");
  const std::string private_key = path("tls_test.key");
};

class TlsPeer {
 public:
  explicit TlsPeer(const HttpServer& server, int version_max = 0)
      : context_(SSL_CTX_new(TLS_client_method())) {
    if (version_max != 0) {
      SSL_CTX_set_security_level(context_, 0);
      SSL_CTX_set_max_proto_version(context_, version_max);
    }
    bio_ = BIO_new_ssl_connect(context_);
    BIO_set_conn_hostname(bio_, ("127.0.0.1:" + std::to_string(server.port())).c_str());
    connected_ = BIO_do_connect(bio_) == 1;
  }
  ~TlsPeer() {
    BIO_free_all(bio_);
    SSL_CTX_free(context_);
  }
  bool connected() const { return connected_; }
  void send(std::string_view bytes) { BIO_write(bio_, bytes.data(), static_cast<int>(bytes.size())); }
  std::string read_until(std::string_view end) {
    std::string got;
    char chunk[4096];
    while (!got.ends_with(end)) {
      const int size = BIO_read(bio_, chunk, sizeof chunk);
      if (size <= 0) break;
      got.append(chunk, static_cast<std::size_t>(size));
    }
    return got;
  }
  /// TLS's own end of sending.
  void end_sending() {
    SSL* ssl = nullptr;
    BIO_get_ssl(bio_, &ssl);
    SSL_shutdown(ssl);
  }
  std::string read_all() { return read_until("never sent, so up to the end"); }

 private:
  SSL_CTX* context_;
  BIO* bio_;
  bool connected_ = false;
};

std::shared_ptr<TlsContext> context_of(const Certificate& certificate) {
  auto context = TlsContext::load(certificate.certificate, certificate.private_key);
  EXPECT_TRUE(context) << context.error().message;
  return *context;
}

TEST(Tls, AnswersTwoRequestsOnOneConnection) {
  const Certificate certificate;
  const auto server = start_server(
      [](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
        responder->send({.body = request.method + " " + request.body + "!"});
      },
      {.tls = context_of(certificate)});
  TlsPeer peer(*server);
  ASSERT_TRUE(peer.connected());
  peer.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc");
  EXPECT_THAT(peer.read_until("!"), EndsWith("\r\n\r\nPOST abc!"));
  peer.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  EXPECT_THAT(peer.read_all(), EndsWith("\r\n\r\nGET !")) << "and then the server says goodbye";
}

TEST(Tls, StreamsFromAnotherThreadAndSendsBigAnswers) {
  const Certificate certificate;
  std::thread writer;
  const std::string big(5 << 20, 'x');
  const auto server = start_server(
      [&](const HttpRequest& request, std::shared_ptr<Responder> responder) {
        if (request.path == "/big") return responder->send({.body = big});
        writer = std::thread([responder] {
          responder->start_stream({.body = "first,"});
          for (int i = 0; i < 2000; ++i) responder->write(std::to_string(i) + ",");
          responder->finish_stream();
        });
      },
      {.tls = context_of(certificate)});
  TlsPeer peer(*server);
  peer.send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_THAT(peer.read_all(), EndsWith("1998,1999,"));
  writer.join();
  TlsPeer second(*server);
  second.send("GET /big HTTP/1.0\r\n\r\n");
  EXPECT_GT(second.read_all().size(), big.size());
}

TEST(Tls, AClientThatEndedItsSendingGetsItsAnswerAndOneThatLeftIsNoticed) {
  const Certificate certificate;
  std::thread writer;
  std::atomic<int> left{0};
  const auto server = start_server(
      [&](const HttpRequest& request, std::shared_ptr<Responder> responder) {
        responder->on_disconnect([&left] { ++left; });
        writer = std::thread([responder = std::move(responder), &left, answers = request.path == "/stays"] {
          if (answers) std::this_thread::sleep_for(std::chrono::milliseconds(1200));
          for (int i = 0; i < 500 && !answers && left == 0; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
          }
          responder->send({.body = "late."});
        });
      },
      {.tls = context_of(certificate)});
  {
    TlsPeer peer(*server);
    peer.send("GET /stays HTTP/1.1\r\nhost: x\r\n\r\n");
    peer.end_sending();
    const std::string answer = peer.read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\ndate: "));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nlate."));
    writer.join();
    EXPECT_EQ(left, 0);
    TlsPeer leaves(*server);
    leaves.send("GET /leaves HTTP/1.1\r\nhost: x\r\n\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    leaves.end_sending();
  }
  writer.join();
  EXPECT_EQ(left, 1);
}

TEST(Tls, SpeakingPlainHttpIsToldSo) {
  const Certificate certificate;
  const auto server =
      start_server([](const HttpRequest&, const std::shared_ptr<Responder>& r) { r->send({}); },
                   {.tls = context_of(certificate)});
  TestPeer peer(*server);
  peer.request("GET /");
  const std::string answer = peer.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(answer, HasSubstr("use https://"));
}

TEST(Tls, NonsenseAndOldVersionsAreRefusedAndTheServerGoesOn) {
  const Certificate certificate;
  const auto server =
      start_server([](const HttpRequest&, const std::shared_ptr<Responder>& r) { r->send({.body = "ok."}); },
                   {.tls = context_of(certificate)});
  TestPeer nonsense(*server);
  nonsense.send(std::string("\x16\x03\x01\xff\xff nonsense", 14) + std::string(70000, '\0'));
  nonsense.read_all();
  EXPECT_FALSE(TlsPeer(*server, TLS1_1_VERSION).connected());
  { TlsPeer leaves(*server); }
  TlsPeer peer(*server);
  peer.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(peer.read_all(), EndsWith("ok."));
}

TEST(Tls, AClientThatNeverFinishesItsHandshakeIsClosed) {
  const Certificate certificate;
  const auto server =
      start_server([](const HttpRequest&, const std::shared_ptr<Responder>& r) { r->send({}); },
                   {.request_timeout_s = 1, .tls = context_of(certificate)});
  TestPeer slow(*server);
  slow.send("\x16\x03\x01");
  EXPECT_EQ(slow.read_all(), "") << "closed, long before the test's own time limit";
}

TEST(Tls, WrongFilesAreNamed) {
  const Certificate certificate, other;
  const auto missing = TlsContext::load("no/such.pem", certificate.private_key);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("no/such.pem"));
  EXPECT_EQ(missing.error().field, "tls_certificate");
  const auto swapped = TlsContext::load(certificate.certificate, certificate.certificate);
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().field, "tls_key");
}

}  // namespace
}  // namespace pmt::net
