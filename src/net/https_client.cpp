#include "net/https_client.h"

#include <future>
#include <utility>

#include <fmt/format.h>

#include "net/async_client.h"

namespace pmt::net {
namespace {

constexpr double kWeekS = 7.0 * 24 * 3600;  // only silence ends an exchange

/// Collects one answer, or hands its body on, for who waits.
class Collected final : public ExchangeListener {
 public:
  explicit Collected(const HttpClient::OnBytes* on_bytes) : on_bytes_(on_bytes) {}

  void on_head(int status, const Headers& headers) override {
    response_.status = status;
    response_.headers = headers;
  }
  bool on_body(std::string_view bytes) override {
    if (on_bytes_ == nullptr || response_.status >= 400) {
      response_.body += bytes;
    } else if (!(*on_bytes_)(bytes)) {
      hung_up_ = true;
    }
    return !hung_up_;
  }
  void on_end(base::Status status) override { end_.set_value(hung_up_ ? base::Status() : std::move(status)); }

  base::Result<ClientResponse> wait() {
    TRY(end_.get_future().get());
    return std::move(response_);
  }

 private:
  const HttpClient::OnBytes* const on_bytes_;  // null: collect
  bool hung_up_ = false;
  ClientResponse response_;
  std::promise<base::Status> end_;
};

class TlsClient final : public HttpClient {
 public:
  TlsClient(Url address, int timeout_s, std::unique_ptr<AsyncClient> client)
      : address_(std::move(address)),
        timeout_s_(timeout_s > 0 ? timeout_s : kWeekS),
        client_(std::move(client)) {}

 private:
  base::Result<ClientResponse> exchange(const std::string& method, const std::string& target,
                                        const Headers& headers, const std::string& body,
                                        const OnBytes* on_bytes) override {
    const auto collected = std::make_shared<Collected>(on_bytes);
    client_->start({.url = address_,
                    .method = method,
                    .target = target,
                    .headers = headers,
                    .body = body,
                    .connect_timeout_s = timeout_s_,
                    .first_byte_timeout_s = timeout_s_,
                    .stall_timeout_s = timeout_s_,
                    .total_timeout_s = kWeekS},
                   collected, {});
    auto response = collected->wait();
    if (response) return response;
    return base::Error{response.error().code,
                       fmt::format("{}: {}", address_.origin(), response.error().message),
                       response.error().field};
  }

  const Url address_;
  const double timeout_s_;
  const std::unique_ptr<AsyncClient> client_;
};

}  // namespace

base::Result<std::unique_ptr<HttpClient>> connect_tls(Url address, int timeout_s,
                                                      const std::string& ca_file) {
  TRY_ASSIGN(auto client, AsyncClient::create({.ca_file = ca_file, .idle_connections_max = 1}));
  return std::make_unique<TlsClient>(std::move(address), timeout_s, std::move(client));
}

}  // namespace pmt::net
