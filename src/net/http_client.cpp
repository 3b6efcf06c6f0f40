#include "net/http_client.h"

#include <array>
#include <optional>

#include <fmt/format.h>

#include "net/client_socket.h"
#include "net/https_client.h"
#include "net/response_parser.h"
#include "net/url.h"

namespace pmt::net {
namespace {

class Client final : public HttpClient {
 public:
  Client(std::string url, Url address, int timeout_s)
      : url_(std::move(url)), address_(std::move(address)), timeout_s_(timeout_s) {}

  base::Status open();

 private:
  base::Result<ClientResponse> exchange(const std::string& method, const std::string& target,
                                        const Headers& headers, const std::string& body,
                                        const OnBytes* on_bytes) override;
  base::Result<ClientResponse> receive(bool to_head, const ResponseParser::OnBytes* on_bytes, bool* stale);
  base::Result<std::string> head_of(const std::string& method, const std::string& target,
                                    const Headers& headers, std::size_t body_bytes) const;
  base::Error explain(const base::Error& error) const {
    return {error.code, fmt::format("{}: {}", url_, error.message)};
  }

  const std::string url_;
  const Url address_;
  const int timeout_s_;
  ClientSocket socket_;
  std::array<char, 16 * 1024> chunk_;
};

base::Status Client::open() {
  auto socket = ClientSocket::connect(address_.host, address_.port, timeout_s_);
  if (!socket) {
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("can't connect to {}: {}; is the server running? Start it with: permutation serve", url_,
                    socket.error().message)};
  }
  socket_ = std::move(*socket);
  return {};
}

base::Result<std::string> Client::head_of(const std::string& method, const std::string& target,
                                          const Headers& headers, std::size_t body_bytes) const {
  std::string head = fmt::format("{} {} HTTP/1.1\r\nhost: {}\r\n", method, target, address_.authority);
  bool clean = target.starts_with('/') && target.find_first_of(" \r\n") == std::string::npos;
  for (const auto& [name, value] : headers) {
    clean = clean && name.find_first_of(": \r\n") == std::string::npos &&
            value.find_first_of("\r\n") == std::string::npos;
    head += fmt::format("{}: {}\r\n", name, value);
  }
  if (!clean)
    return base::invalid(fmt::format("'{}' or one of its headers can't be sent over HTTP", target), "target");
  if (body_bytes > 0 || (method != "GET" && method != "HEAD"))
    head += fmt::format("content-length: {}\r\n", body_bytes);
  return head + "\r\n";
}

base::Result<ClientResponse> Client::exchange(const std::string& method, const std::string& target,
                                              const Headers& headers, const std::string& body,
                                              const OnBytes* on_bytes) {
  TRY_ASSIGN(const std::string head, head_of(method, target, headers, body.size()));
  for (bool kept = socket_.is_open();; kept = false) {
    if (!kept) TRY(open());
    // A server may close a kept connection at any moment: then nothing of an answer comes, and one more try
    // is right.
    bool stale = false;
    const base::Status sent = socket_.send_all(head + body);
    if (!sent && sent.error().code == base::Code::kDeadline) {
      socket_.close();
      return explain(sent.error());
    }
    // Even if sending failed the server may have answered before it closed, say 413.
    auto response = receive(method == "HEAD", on_bytes, &stale);
    if (response) return response;
    socket_.close();
    if (!stale || !kept) return explain(response.error());
  }
}

base::Result<ClientResponse> Client::receive(bool to_head, const ResponseParser::OnBytes* on_bytes,
                                             bool* stale) {
  std::optional<ResponseParser> parser(std::in_place, to_head, on_bytes);
  std::string unparsed;
  for (bool any = false;; any = true) {
    const auto size = socket_.receive(chunk_.data(), chunk_.size());
    *stale = !any && (size ? *size == 0 : size.error().code == base::Code::kIo);
    if (!size) return size.error();
    if (*size == 0) {
      TRY(parser->end());
    } else {
      unparsed.append(chunk_.data(), *size);
      for (;;) {
        TRY_ASSIGN(const std::size_t taken, parser->parse(unparsed));
        unparsed.erase(0, taken);
        if (!parser->interim()) break;
        parser.emplace(to_head, on_bytes);
        if (unparsed.empty()) break;
      }
    }
    if (parser->done() || *size == 0) break;
  }
  if (!parser->reusable() || !unparsed.empty()) socket_.close();
  return parser->take_response();
}

}  // namespace

std::string_view ClientResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

base::Result<std::unique_ptr<HttpClient>> HttpClient::connect(const std::string& url, int timeout_s,
                                                              const std::string& ca_file) {
  TRY_ASSIGN(Url address, parse_url(url));
  if (!address.path.empty()) {
    return base::invalid(
        fmt::format("'{}': only a host and a port may follow {}://", url, address.tls ? "https" : "http"),
        "url");
  }
  if (address.tls) return connect_tls(std::move(address), timeout_s, ca_file);
  if (!ca_file.empty())
    return base::invalid(fmt::format("'{}' has no TLS: a CA file is for https:// only", url), "ca_file");
  auto client = std::make_unique<Client>(url, std::move(address), timeout_s);
  TRY(client->open());
  return std::unique_ptr<HttpClient>(std::move(client));
}

}  // namespace pmt::net
