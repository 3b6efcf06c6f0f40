// The real redis-server for tests, on a free port of this machine; skips where there is none. The
// environment's PMT_REDIS_SERVER names another program with its options, such as valkey-server.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "redis/link.h"

extern char** environ;

namespace pmt::redis {

inline Deadline in_ms(int ms) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

/// Thread-safety: one thread.
class TestRedis {
 public:
  static bool is_here() { return access(program(), X_OK) == 0; }

  /// `options`: of redis-server, e.g. {"--cluster-enabled", "yes"}; "PORT" is its port, "FOLDER" a folder that
  /// goes with it. `login`: how it is asked whether it is there.
  explicit TestRedis(std::vector<std::string> options = {}, Login login = {})
      : options_(std::move(options)), login_(std::move(login)) {
    std::string folder = (std::filesystem::temp_directory_path() / "pmt-redis-XXXXXX").string();
    folder_ = mkdtemp(folder.data());
    for (int attempt = 0; attempt < 5 && pid_ == 0; ++attempt) {
      port_ = free_port();
      start();
    }
  }
  ~TestRedis() {
    send(SIGKILL);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TestRedis(const TestRedis&) = delete;
  TestRedis& operator=(const TestRedis&) = delete;

  int port() const { return port_; }
  const std::string& folder() const { return folder_; }
  bool runs() const { return pid_ != 0; }
  Endpoint endpoint() const { return {.host = "127.0.0.1", .port = port_}; }

  /// SIGKILL is waited for.
  void send(int signal) {
    if (pid_ == 0) return;
    kill(pid_, signal);
    if (signal != SIGKILL) return;
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  /// On the same port, empty again.
  void start() {
    std::vector<std::string> words = {program(),    "--port",       std::to_string(port_),
                                      "--bind",     "127.0.0.1",    "--save",
                                      "",           "--appendonly", "no",
                                      "--dir",      folder_,        "--daemonize",
                                      "no",         "--logfile",    folder_ + "/log",
                                      "--loglevel", "warning"};
    for (const std::string& option : options_) words.push_back(filled_in(option));
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (posix_spawn(&pid_, program(), nullptr, nullptr, argv.data(), environ) != 0) {
      pid_ = 0;
      return;
    }
    for (int i = 0; i < 500; ++i) {
      auto pong = Connection::open(endpoint(), login_, in_ms(1000));
      if (pong) return;
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;  // the port was taken meanwhile
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    send(SIGKILL);
    pid_ = 0;
  }

 private:
  std::string filled_in(std::string option) const {
    if (option == "PORT") return std::to_string(port_);
    if (option.starts_with("FOLDER")) return option.replace(0, 6, folder_);
    return option;
  }
  static const char* program() {
    const char* named = std::getenv("PMT_REDIS_SERVER");
    return named != nullptr ? named : "/usr/bin/redis-server";
  }

  /// Also free 10,000 above, where a Cluster's nodes talk.
  static int free_port() {
    while (true) {
      const int port = try_port(0);
      if (port + 10'000 < 65'536 && try_port(port + 10'000) != 0) return port;
    }
  }
  static int try_port(int port) {
    const int s = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    const bool bound = bind(s, generic, size) == 0 && getsockname(s, generic, &size) == 0;
    close(s);
    return bound ? ntohs(address.sin_port) : 0;
  }

  const std::vector<std::string> options_;
  const Login login_;
  std::string folder_;
  int port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace pmt::redis
