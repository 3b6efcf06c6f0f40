#include "app/wiring/server_app.h"

#include <utility>

#include <fmt/format.h>

#include "api/messages/message_error.h"
#include "app/commands/commands.h"
#include "app/wiring/service.h"
#include "net/http_server.h"

namespace pmt::app {

struct ServerApp::Impl {
  ~Impl() { stop(0); }
  base::Status listen();
  void stop(int grace_ms);

  net::ServerOptions options;
  std::unique_ptr<Service> service;
  std::unique_ptr<net::HttpServer> server = nullptr;
  std::uint16_t port = 0;
};

base::Status ServerApp::Impl::listen() {
  net::ServerOptions given = options;
  given.shape_refusal = [](std::string_view path, net::HttpResponse& refusal) {
    if (api::speaks_messages(path)) api::reshape_for_messages(refusal, "");
  };
  TRY_ASSIGN(server, net::HttpServer::start(std::move(given), service->handler()));
  port = server->port();
  return {};
}

void ServerApp::Impl::stop(int grace_ms) {
  service->close_streams();
  if (server) server->stop(grace_ms);
  server.reset();
  service->stop();
}

ServerApp::ServerApp(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServerApp::~ServerApp() = default;

base::Result<std::unique_ptr<ServerApp>> ServerApp::start(const Config& config, const base::Clock& clock) {
  TRY(net::HttpServer::check(config.server));  // a taken port is told before models are loaded
  TRY_ASSIGN(auto service,
             Service::open(config, {.store_checker = {"/proc/self/exe", kCheckStoreCommand}}, clock));
  auto impl = std::make_unique<Impl>();
  impl->options = config.server;
  impl->service = std::move(service);
  TRY(impl->listen());
  return std::unique_ptr<ServerApp>(new ServerApp(std::move(impl)));
}

std::string ServerApp::url() const {
  const std::string& host = impl_->options.host;
  const bool v6 = host.find(':') != std::string::npos;
  const char* const scheme = impl_->options.tls == nullptr ? "http" : "https";
  return fmt::format("{}://{}{}{}:{}", scheme, v6 ? "[" : "", host, v6 ? "]" : "", impl_->port);
}

const std::string& ServerApp::model_name() const {
  return impl_->service->model_name();
}

void ServerApp::reload(const Config& config) {
  impl_->service->reload(config);
  if (impl_->options.tls != nullptr && config.server.tls != nullptr)
    impl_->options.tls->exchange(*config.server.tls);
}

void ServerApp::stop(int grace_ms) {
  impl_->stop(grace_ms);
}

}  // namespace pmt::app
