#include "net/async_client.h"

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

#include "net/http_client.h"
#include "net/test_peer.h"

namespace pmt::net {
namespace {

using ::testing::HasSubstr;
namespace asio = boost::asio;

/// Keeps what came, and waits for the end.
class Collected final : public ExchangeListener {
 public:
  void on_head(int status, const Headers&) override {
    const std::lock_guard lock(mutex_);
    status_ = status;
  }
  bool on_body(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    body_.append(bytes);
    changed_.notify_all();
    return true;
  }
  void on_end(base::Status end) override {
    const std::lock_guard lock(mutex_);
    end_ = std::move(end);
    changed_.notify_all();
  }
  base::Status wait() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(20), [&] { return end_.has_value(); })) {
      return base::Error{base::Code::kInternal, "no end came"};
    }
    return *end_;
  }
  void wait_for_body() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !body_.empty(); });
  }
  int status() {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  std::string body() {
    const std::lock_guard lock(mutex_);
    return body_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int status_ = 0;
  std::string body_;
  std::optional<base::Status> end_;
};

std::unique_ptr<AsyncClient> make_client(AsyncClientOptions options = {}) {
  auto client = AsyncClient::create(std::move(options));
  if (!client) {
    ADD_FAILURE() << client.error().message;
    std::abort();
  }
  return std::move(*client);
}

AsyncCall call_to(std::uint16_t port, const char* scheme = "http", const char* host = "127.0.0.1") {
  return {.url = *parse_url(std::string(scheme) + "://" + host + ":" + std::to_string(port) + "/v1"),
          .target = "/x",
          .body = "hello"};
}

std::shared_ptr<Collected> start(AsyncClient& client, AsyncCall call, const base::CancelToken& cancel = {}) {
  auto listener = std::make_shared<Collected>();
  client.start(std::move(call), listener, cancel);
  return listener;
}

TEST(AsyncClient, AsksAndKeepsTheConnection) {
  const auto server =
      start_server([](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
        responder->send({.body = request.method + request.path + request.body + request.peer});
      });
  const auto client = make_client();
  const auto first = start(*client, call_to(server->port()));
  ASSERT_TRUE(first->wait());
  EXPECT_EQ(first->status(), 200);
  EXPECT_THAT(first->body(), HasSubstr("POST/v1/xhello"));
  const auto second = start(*client, call_to(server->port()));
  ASSERT_TRUE(second->wait());
  EXPECT_EQ(first->body(), second->body()) << "the same port of ours: the same connection";
  EXPECT_EQ(client->stats().opened, 1U);
  EXPECT_EQ(client->stats().reused, 1U);
}

/// A server whose handler asks `client` and passes its answer on.
std::unique_ptr<HttpServer> gateway_to(AsyncClient& client, std::uint16_t port, std::atomic<int>* elsewhere) {
  struct Passed final : ExchangeListener {
    std::shared_ptr<Responder> responder;
    std::thread::id asked_on;
    std::atomic<int>* elsewhere = nullptr;
    std::string body;
    void on_head(int, const Headers&) override {}
    bool on_body(std::string_view bytes) override {
      body.append(bytes);
      return true;
    }
    void on_end(base::Status end) override {
      if (std::this_thread::get_id() != asked_on) ++*elsewhere;
      responder->send({.status = end ? 200 : 502, .body = end ? body : end.error().message});
    }
  };
  return start_server(
      [&client, port, elsewhere](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
        auto passed = std::make_shared<Passed>();
        passed->responder = responder;
        passed->asked_on = std::this_thread::get_id();
        passed->elsewhere = elsewhere;
        client.start(call_to(port), passed, {});
      });
}

TEST(AsyncClient, WorksOnTheThreadOfTheHandlerThatAsks) {
  const auto upstream =
      start_server([](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
        responder->send({.body = request.body});
      });
  const auto client = make_client();
  std::atomic<int> elsewhere{0};
  const auto gateway = gateway_to(*client, upstream->port(), &elsewhere);
  const auto asking = client_of(*gateway);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(asking->request("GET", "/", {}, "")->body, "hello");
  EXPECT_EQ(elsewhere, 0);
  EXPECT_EQ(client->stats().opened, 1U) << "its connection is kept";
  EXPECT_TRUE(start(*client, call_to(upstream->port()))->wait()) << "others ask on its own thread";
  EXPECT_EQ(client->stats().opened, 2U);
}

/// A server that takes requests and answers none.
class SilentServer {
 public:
  SilentServer()
      : server_(start_server([this](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
          const std::lock_guard lock(mutex_);
          unanswered_.push_back(responder);
          changed_.notify_all();
        })) {}
  std::uint16_t port() const { return server_->port(); }
  bool wait_until_asked() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !unanswered_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Responder>> unanswered_;
  std::unique_ptr<HttpServer> server_;
};

/// A gateway that has asked on behalf of `peer` and waits.
struct WaitingGateway {
  SilentServer upstream;
  std::unique_ptr<AsyncClient> client = make_client();
  std::atomic<int> elsewhere{0};
  std::unique_ptr<HttpServer> server = gateway_to(*client, upstream.port(), &elsewhere);
  TestPeer peer{*server};

  WaitingGateway() {
    peer.request("GET /");
    EXPECT_TRUE(upstream.wait_until_asked());
    EXPECT_EQ(client->stats().running, 1);
  }
};

TEST(AsyncClient, AServerThatStopsEndsWhatItsHandlersAsked) {
  WaitingGateway gateway;
  gateway.server->stop(0);
  EXPECT_EQ(gateway.client->stats().running, 0) << "its thread has ended, and so has what ran there";
  gateway.client->stop();
}

TEST(AsyncClient, StopsBeforeTheServerThatAsksIt) {
  WaitingGateway gateway;
  gateway.client->stop();
  EXPECT_EQ(gateway.client->stats().running, 0);
  EXPECT_THAT(gateway.peer.read_until("cancelled"), HasSubstr("502"));
  gateway.peer.request("GET /");
  EXPECT_THAT(gateway.peer.read_until("shutting down"), HasSubstr("502"));
}

TEST(AsyncClient, ManyAtOnce) {
  const auto server =
      start_server([](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
        responder->send({.body = request.body});
      });
  const auto client = make_client();
  std::vector<std::shared_ptr<Collected>> all;
  for (int i = 0; i < 200; ++i) {
    AsyncCall call = call_to(server->port());
    call.body = "request " + std::to_string(i);
    all.push_back(start(*client, std::move(call)));
  }
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(all[static_cast<std::size_t>(i)]->wait());
    EXPECT_EQ(all[static_cast<std::size_t>(i)]->body(), "request " + std::to_string(i));
  }
}

TEST(AsyncClient, ReplacesAKeptConnectionThatTheServerClosed) {
  const auto server = start_server(
      [](const HttpRequest&, const std::shared_ptr<Responder>& responder) { responder->send({.body = "y"}); },
      {.idle_timeout_s = 1});
  const auto client = make_client();
  ASSERT_TRUE(start(*client, call_to(server->port()))->wait());
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  const auto late = start(*client, call_to(server->port()));
  ASSERT_TRUE(late->wait());
  EXPECT_EQ(late->body(), "y");
  EXPECT_EQ(client->stats().opened, 2U);
}

TEST(AsyncClient, SaysWhereNobodyListens) {
  std::uint16_t port = 0;
  {
    const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>&) {});
    port = server->port();
  }
  const auto client = make_client();
  const auto end = start(*client, call_to(port))->wait();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, base::Code::kUnavailable);
  EXPECT_THAT(end.error().message, HasSubstr("127.0.0.1:" + std::to_string(port)));
}

TEST(AsyncClient, EachWaitHasItsLimit) {
  std::vector<std::shared_ptr<Responder>> kept;
  std::mutex mutex;
  const auto server = start_server([&](const HttpRequest& request, std::shared_ptr<Responder> responder) {
    if (request.body == "stall") responder->start_stream({.body = "some"});
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(responder));
  });
  const auto client = make_client();
  AsyncCall silent = call_to(server->port());
  silent.first_byte_timeout_s = 0.2;
  const auto no_answer = start(*client, silent)->wait();
  ASSERT_FALSE(no_answer);
  EXPECT_EQ(no_answer.error().code, base::Code::kDeadline);
  EXPECT_THAT(no_answer.error().message, HasSubstr("did not begin its answer within 0.2 s"));

  AsyncCall stalls = call_to(server->port());
  stalls.body = "stall";
  stalls.stall_timeout_s = 0.2;
  const auto stalled = start(*client, stalls);
  const auto end = stalled->wait();
  ASSERT_FALSE(end);
  EXPECT_THAT(end.error().message, HasSubstr("did not go on with its answer within 0.2 s"));
  EXPECT_EQ(stalled->body(), "some");

  AsyncCall slow = call_to(server->port());
  slow.total_timeout_s = 0.2;
  const auto late = start(*client, slow)->wait();
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("did not finish its answer within 0.2 s"));
  server->stop(0);
}

TEST(AsyncClient, CancellingClosesTheConnection) {
  std::shared_ptr<Responder> stream;
  std::atomic<bool> left{false};
  const auto server = start_server([&](const HttpRequest&, std::shared_ptr<Responder> responder) {
    responder->on_disconnect([&] { left = true; });
    responder->start_stream({.body = "first"});
    stream = std::move(responder);
  });
  const auto client = make_client();
  const base::CancelToken cancel;
  const auto listener = start(*client, call_to(server->port()), cancel);
  listener->wait_for_body();
  cancel.cancel();
  const auto end = listener->wait();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, base::Code::kCancelled);
  for (int i = 0; i < 400 && !left; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(left);
  server->stop(0);
  stream.reset();
}

TEST(AsyncClient, AServerThatLeavesInTheMiddleIsAnError) {
  asio::io_context context;
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  std::thread server([&] {
    auto socket = acceptor.accept();
    asio::streambuf request;
    asio::read_until(socket, request, "hello");
    asio::write(socket, asio::buffer(std::string("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")));
  });
  const auto client = make_client();
  const auto listener = start(*client, call_to(acceptor.local_endpoint().port()));
  const auto end = listener->wait();
  server.join();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, base::Code::kIo);
  EXPECT_EQ(listener->body(), "part");
}

TEST(AsyncClient, StoppingEndsWhatRuns) {
  std::vector<std::shared_ptr<Responder>> kept;
  const auto server = start_server([&](const HttpRequest&, std::shared_ptr<Responder> responder) {
    kept.push_back(std::move(responder));
  });
  const auto client = make_client();
  const auto running = start(*client, call_to(server->port()));
  std::atomic<bool> fired{false};
  client->after(60, [&] { fired = true; }, {});
  client->stop();
  EXPECT_FALSE(running->wait());
  EXPECT_TRUE(fired);
  EXPECT_EQ(start(*client, call_to(server->port()))->wait().error().code, base::Code::kUnavailable);
  server->stop(0);
}

/// A certificate that signs itself, for 127.0.0.1, in two PEM files.
class SelfSigned {
 public:
  SelfSigned() {
    static int made = 0;
    const auto folder = std::filesystem::temp_directory_path();
    const std::string stem = "pmt-tls-" + std::to_string(getpid()) + "-" + std::to_string(made++);
    key_file_ = folder / (stem + ".key");
    certificate_file_ = folder / (stem + ".pem");
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    const auto* text = reinterpret_cast<const unsigned char*>("loopback test");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    for (const auto& [nid, value] : {std::pair(NID_basic_constraints, "critical,CA:TRUE"),
                                     std::pair(NID_subject_alt_name, "IP:127.0.0.1")}) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
      X509_add_ext(certificate, extension, -1);
      X509_EXTENSION_free(extension);
    }
    X509_sign(certificate, key, EVP_sha256());
    std::FILE* file = std::fopen(key_file_.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    file = std::fopen(certificate_file_.c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  ~SelfSigned() {
    std::filesystem::remove(key_file_);
    std::filesystem::remove(certificate_file_);
  }
  const std::filesystem::path& key_file() const { return key_file_; }
  const std::filesystem::path& certificate_file() const { return certificate_file_; }

 private:
  std::filesystem::path key_file_, certificate_file_;
};

/// Answers `connections` TLS connections, two requests each.
class TlsServer {
 public:
  TlsServer(const SelfSigned& certificate, int connections) {
    tls_.use_private_key_file(certificate.key_file().string(), asio::ssl::context::pem);
    tls_.use_certificate_file(certificate.certificate_file().string(), asio::ssl::context::pem);
    thread_ = std::thread([this, connections] {
      for (int i = 0; i < connections; ++i) serve();
    });
  }
  ~TlsServer() { thread_.join(); }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void serve() {
    boost::system::error_code ec;
    asio::ssl::stream<asio::ip::tcp::socket> stream(acceptor_.accept(), tls_);
    stream.handshake(asio::ssl::stream_base::server, ec);
    for (int i = 0; i < 2 && !ec; ++i) {
      asio::streambuf request;
      asio::read_until(stream, request, "hello", ec);
      if (!ec) {
        asio::write(stream, asio::buffer(std::string("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret")),
                    ec);
      }
    }
  }
  asio::io_context context_;
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  asio::ip::tcp::acceptor acceptor_{context_, {asio::ip::make_address("127.0.0.1"), 0}};
  std::thread thread_;
};

TEST(AsyncClientTls, TrustsTheAuthorityThatItIsGiven) {
  const SelfSigned certificate;
  TlsServer server(certificate, 1);
  const auto client = make_client({.ca_file = certificate.certificate_file().string()});
  for (int i = 0; i < 2; ++i) {
    const auto answer = start(*client, call_to(server.port(), "https"));
    const auto end = answer->wait();
    ASSERT_TRUE(end) << end.error().message;
    EXPECT_EQ(answer->body(), "secret");
  }
  EXPECT_EQ(client->stats().opened, 1U) << "TLS connections are kept too";
}

TEST(AsyncClientTls, TrustsNobodyElse) {
  const SelfSigned certificate;
  TlsServer server(certificate, 1);
  const auto client = make_client();
  const auto end = start(*client, call_to(server.port(), "https"))->wait();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, base::Code::kUnavailable);
  EXPECT_THAT(end.error().message, HasSubstr("can't be trusted: self-signed certificate"));
}

TEST(AsyncClientTls, TheNameMustBeRight) {
  const SelfSigned certificate;
  TlsServer server(certificate, 1);
  const auto client = make_client({.ca_file = certificate.certificate_file().string()});
  const auto end = start(*client, call_to(server.port(), "https", "localhost"))->wait();
  ASSERT_FALSE(end);
  EXPECT_THAT(end.error().message, HasSubstr("can't be trusted"));
}

TEST(AsyncClientTls, TheBlockingClientGoesByItOverHttps) {
  const SelfSigned certificate;
  TlsServer server(certificate, 1);
  const std::string url = fmt::format("https://127.0.0.1:{}", server.port());
  const auto client = HttpClient::connect(url, 5, certificate.certificate_file().string());
  ASSERT_TRUE(client) << client.error().message;
  const auto whole = (*client)->request("POST", "/", {}, "hello");
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->status, 200);
  EXPECT_EQ(whole->body, "secret");
  std::string streamed;
  const auto pieces = (*client)->stream("POST", "/", {}, "hello", [&](std::string_view bytes) {
    streamed += bytes;
    return true;
  });
  ASSERT_TRUE(pieces) << pieces.error().message;
  EXPECT_EQ(streamed, "secret");
  EXPECT_EQ(pieces->body, "");
}

TEST(AsyncClientTls, TheBlockingClientTrustsNobodyElse) {
  const SelfSigned certificate;
  TlsServer server(certificate, 1);
  const std::string url = fmt::format("https://127.0.0.1:{}", server.port());
  const auto client = HttpClient::connect(url, 5);
  ASSERT_TRUE(client);
  const auto answer = (*client)->request("POST", "/", {}, "hello");
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr(url));
  EXPECT_THAT(answer.error().message, HasSubstr("can't be trusted"));
  const auto plain = HttpClient::connect("http://127.0.0.1:1", 5, certificate.certificate_file().string());
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().field, "ca_file");
}

TEST(AsyncClientTls, AMissingFileOfAuthoritiesIsAnErrorAtOnce) {
  const auto client = AsyncClient::create({.ca_file = "no-such-file.pem"});
  ASSERT_FALSE(client);
  EXPECT_THAT(client.error().message, HasSubstr("no-such-file.pem"));
}

/// Throws at each of its callbacks in turn; its end comes all the same.
TEST(AsyncClient, AListenerThatThrowsHearsItsEndAndHurtsNobody) {
  struct Bad final : ExchangeListener {
    explicit Bad(int which) : throws_at(which) {}
    void on_head(int, const Headers&) override { maybe(0); }
    bool on_body(std::string_view) override {
      maybe(1);
      return true;
    }
    void on_end(base::Status status) override {
      end.set_value(std::move(status));
      maybe(2);
    }
    void maybe(int which) const {
      if (which == throws_at) throw std::runtime_error("a listener's own");
    }
    const int throws_at;
    std::promise<base::Status> end;
  };
  const auto server = start_server([](const HttpRequest&, const std::shared_ptr<Responder>& responder) {
    responder->send({.body = "text"});
  });
  const auto client = make_client();
  for (int which = 0; which < 3; ++which) {
    const auto bad = std::make_shared<Bad>(which);
    client->start(call_to(server->port()), bad, {});
    const base::Status end = bad->end.get_future().get();
    EXPECT_EQ(end.has_value(), which == 2);
    if (!end) {
      EXPECT_EQ(end.error().code, base::Code::kInternal);
    }
    const auto good = start(*client, call_to(server->port()));
    ASSERT_TRUE(good->wait());
  }
  client->stop();
  EXPECT_EQ(client->stats().running, 0);
}

}  // namespace
}  // namespace pmt::net
