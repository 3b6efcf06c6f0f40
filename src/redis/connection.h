// One connection to Redis or Valkey: commands out in one write, replies in, all within a deadline. hiredis
// connects, and knows the protocol; its blocking calls restart their time limit with each read, so bytes go to
// and fro here, over TCP or a Unix socket, plain or in TLS.
//
// Thread-safety: one thread at a time.
// Errors: kUnavailable (can't connect, the peer went), kDeadline, kCorrupt (not Redis's protocol),
// kUnauthorized (the password). After one of them the connection is closed. What Redis answers is no error
// here, an error reply included.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "redis/reply.h"
#include "redis/tls.h"

struct redisContext;

namespace pmt::redis {

using Deadline = std::chrono::steady_clock::time_point;

struct Endpoint {
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string socket = {};  // a Unix socket's path, in place of host and port
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  std::string text() const;
};

/// How one is entered.
struct Login {
  std::string user = {};
  std::string password = {};
  int database = 0;
  std::shared_ptr<const Tls> tls = {};  // null: plain
};

class Connection {
 public:
  static base::Result<std::unique_ptr<Connection>> open(const Endpoint& where, const Login& login,
                                                        Deadline until);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// One reply a command, in order.
  base::Result<std::vector<Reply>> call(const std::vector<const Command*>& commands, Deadline until);
  base::Result<Reply> call(const Command& command, Deadline until);

 private:
  Connection(redisContext* context, Endpoint where) : context_(context), where_(std::move(where)) {}
  base::Status begin_tls(const Tls& tls, Deadline until);
  base::Status exchange(std::string_view out, std::size_t wanted, std::vector<Reply>& replies,
                        Deadline until);
  base::Result<Moved> send(std::string_view bytes);
  base::Result<Moved> receive(std::span<char> into);
  base::Status wait(short events, Deadline until) const;
  base::Error failure(std::string_view why, base::Code code = base::Code::kUnavailable) const;

  redisContext* context_;
  const Endpoint where_;
  std::unique_ptr<TlsSession> tls_;  // null: plain
};

}  // namespace pmt::redis
