#include "net/http_server.h"

#include <atomic>
#include <mutex>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>

#include "net/shard.h"

namespace pmt::net {
namespace asio = boost::asio;
namespace {

using asio::ip::tcp;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using boost::system::error_code;

// Connections above the limit that are told so at one time; any more are closed without a word.
constexpr std::size_t kRefusalsMax = 64;
// Accepting fails when the process has no file descriptor left: try again after this.
constexpr std::chrono::milliseconds kAcceptPause{100};

class Server final : public HttpServer {
 public:
  Server(ServerOptions options, Handler handler);
  ~Server() override { stop(0); }
  base::Status listen();
  void run();
  std::uint16_t port() const override { return port_; }
  void stop(int grace_ms) override;

 private:
  Task<void> accept();
  void admit(Socket socket, Shard& shard);

  const ServerOptions options_;
  const Handler handler_;
  std::atomic<std::size_t> connections_{0};
  std::vector<std::unique_ptr<Shard>> shards_;
  Acceptor acceptor_;  // on the first shard, as the timer
  Timer accept_pause_;
  std::uint16_t port_ = 0;
  std::mutex stop_mutex_;
  bool running_ = false;
};

std::vector<std::unique_ptr<Shard>> make_shards(const ServerOptions& options, const Handler& handler,
                                                std::atomic<std::size_t>* connections) {
  std::vector<std::unique_ptr<Shard>> shards;
  for (int i = 0; i < std::max(options.threads, 1); ++i) {
    shards.push_back(std::make_unique<Shard>(options, handler, connections));
  }
  return shards;
}

Server::Server(ServerOptions options, Handler handler)
    : options_(std::move(options)),
      handler_(std::move(handler)),
      shards_(make_shards(options_, handler_, &connections_)),
      acceptor_(shards_.front()->context().get_executor()),
      accept_pause_(shards_.front()->context().get_executor()) {}

/// Opens `acceptor` at host and port.
base::Status listen_at(const ServerOptions& options, Acceptor& acceptor) {
  error_code ec;
  tcp::resolver resolver(acceptor.get_executor());
  const auto found = resolver.resolve(options.host, std::to_string(options.port), ec);
  if (ec || found.empty()) {
    return base::invalid(fmt::format("can't listen on host '{}': {}", options.host, ec.message()), "host");
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(Acceptor::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (!ec) return {};
  const char* way_out = ec == asio::error::address_in_use
                            ? "; another program listens there: stop it, or choose another port"
                            : "";
  return base::Error{base::Code::kIo, fmt::format("can't listen on {}:{}: {}{}", options.host, options.port,
                                                  ec.message(), way_out)};
}

base::Status Server::listen() {
  TRY(listen_at(options_, acceptor_));
  error_code ec;
  port_ = acceptor_.local_endpoint(ec).port();
  return {};
}

void Server::run() {
  running_ = true;
  asio::co_spawn(shards_.front()->context().get_executor(), accept(), asio::detached);
  for (const auto& shard : shards_) shard->run();
}

Task<void> Server::accept() {
  std::size_t next = 0;
  while (acceptor_.is_open()) {
    Shard& shard = *shards_[next++ % shards_.size()];
    Socket socket(shard.context().get_executor());
    error_code ec;
    co_await acceptor_.async_accept(socket, asio::redirect_error(kAwait, ec));
    if (!ec) {
      admit(std::move(socket), shard);
    } else if (acceptor_.is_open() && ec != asio::error::connection_aborted) {
      spdlog::warn("can't accept a connection: {}", ec.message());
      accept_pause_.expires_after(kAcceptPause);
      co_await accept_pause_.async_wait(asio::redirect_error(kAwait, ec));
    }
  }
}

void Server::admit(Socket socket, Shard& shard) {
  const std::size_t count = connections_.load();
  if (count >= options_.connections_max + kRefusalsMax) return;
  ++connections_;
  shard.adopt(std::move(socket), count < options_.connections_max ? Connection::Admission::kServed
                                                                  : Connection::Admission::kRefused);
}

void Server::stop(int grace_ms) {
  std::lock_guard lock(stop_mutex_);
  if (!running_) return;
  running_ = false;
  asio::post(shards_.front()->context(), [this] {
    error_code ignored;
    acceptor_.close(ignored);
    accept_pause_.cancel();
  });
  for (const auto& shard : shards_) shard->stop(grace_ms);
  for (const auto& shard : shards_) shard->join();
}

}  // namespace

base::Status HttpServer::check(const ServerOptions& options) {
  asio::io_context context;
  Acceptor acceptor(context.get_executor());
  return listen_at(options, acceptor);
}

base::Result<std::unique_ptr<HttpServer>> HttpServer::start(ServerOptions options, Handler handler) {
  auto server = std::make_unique<Server>(std::move(options), std::move(handler));
  TRY(server->listen());
  server->run();
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace pmt::net
