// For tests: a server under test and a client that sends and reads plain bytes, to do what a proper client
// doesn't.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "net/client_socket.h"
#include "net/http_client.h"
#include "net/http_server.h"

namespace pmt::net {

/// Fails the test if the address can't be bound.
inline std::unique_ptr<HttpServer> start_server(Handler handler, ServerOptions options = {}) {
  options.port = 0;
  auto server = HttpServer::start(options, std::move(handler));
  if (!server) {
    ADD_FAILURE() << server.error().message;
    std::abort();
  }
  return std::move(*server);
}

inline std::unique_ptr<HttpClient> client_of(const HttpServer& server, int timeout_s = 10) {
  auto client = HttpClient::connect("http://127.0.0.1:" + std::to_string(server.port()), timeout_s);
  if (!client) {
    ADD_FAILURE() << client.error().message;
    std::abort();
  }
  return std::move(*client);
}

class TestPeer {
 public:
  explicit TestPeer(const HttpServer& server, int timeout_s = 10) {
    auto socket = ClientSocket::connect("127.0.0.1", std::to_string(server.port()), timeout_s);
    if (!socket) {
      ADD_FAILURE() << socket.error().message;
      return;
    }
    socket_ = std::move(*socket);
  }

  void send(std::string_view bytes) {
    const auto sent = socket_.send_all(bytes);
    if (!sent) last_error_ = sent.error().message;
  }
  /// A request with the headers that HTTP/1.1 needs.
  void request(std::string_view line, std::string_view body = {}) {
    send(std::string(line) + " HTTP/1.1\r\nhost: test\r\ncontent-length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body));
  }
  /// Everything up to `end`, included; or what came before the server closed or the time was over.
  std::string read_until(std::string_view end) {
    while (unread_.find(end) == std::string::npos && read_some()) {
    }
    const std::size_t at = unread_.find(end);
    return take(at == std::string::npos ? unread_.size() : at + end.size());
  }
  /// One response with a content-length: head and body.
  std::string read_response() {
    std::string head = read_until("\r\n\r\n");
    const std::size_t at = head.find("content-length: ");
    if (at == std::string::npos) return head;
    const std::size_t size = std::stoul(head.substr(at + 16));
    while (unread_.size() < size && read_some()) {
    }
    return head + take(std::min(size, unread_.size()));
  }
  /// Everything until the server closes.
  std::string read_all() {
    while (read_some()) {
    }
    return take(unread_.size());
  }
  /// What one read brings.
  std::string read_once() {
    if (unread_.empty()) read_some();
    return take(unread_.size());
  }
  void close() { socket_.close(); }
  void end_sending() { socket_.end_sending(); }
  const std::string& last_error() const { return last_error_; }

 private:
  bool read_some() {
    char buffer[16 * 1024];
    const auto size = socket_.receive(buffer, sizeof buffer);
    if (!size) last_error_ = size.error().message;
    if (!size || *size == 0) return false;
    unread_.append(buffer, *size);
    return true;
  }
  std::string take(std::size_t size) {
    std::string taken = unread_.substr(0, size);
    unread_.erase(0, size);
    return taken;
  }

  ClientSocket socket_;
  std::string unread_;
  std::string last_error_;
};

}  // namespace pmt::net
