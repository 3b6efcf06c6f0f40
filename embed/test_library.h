// What the library's tests share: handles that close themselves, and texts that free themselves.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <permutation/permutation.h>

namespace pmt::embed {

struct Text {
  permutation_text text{};
  Text() = default;
  ~Text() { permutation_text_free(&text); }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;
  permutation_text* out() {
    permutation_text_free(&text);
    return &text;
  }
  std::string_view view() const { return {text.data == nullptr ? "" : text.data, text.size}; }
};

/// A server that takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 16), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() { close(socket_); }
  SilentServer(const SilentServer&) = delete;
  SilentServer& operator=(const SilentServer&) = delete;

  /// An engine that asks it, and has no model of its own.
  std::string config() const {
    return "[embeddings]\nenabled = false\n[[upstream]]\nname = \"far\"\nbase_url = \"http://127.0.0.1:" +
           std::to_string(port_) + "\"\nmodels = [\"m\"]\n";
  }

 private:
  const int socket_;
  int port_ = 0;
};

/// An engine without a model, open during the test.
class OpenEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string config = server.config();
    ASSERT_EQ(permutation_engine_open(config.data(), config.size(), &engine, &error), PERMUTATION_OK)
        << error.message;
  }
  void TearDown() override { permutation_engine_close(engine); }

  SilentServer server;
  permutation_engine* engine = nullptr;
  permutation_error error{};
  Text answer;
};

inline constexpr std::string_view kFarRequest =
    R"({"model": "far/m", "messages": [{"role": "user", "content": "Hi"}]})";
/// One that is answered at once, by a whole answer.
inline constexpr char kQuickPath[] = "/v1/cache/import";

}  // namespace pmt::embed
