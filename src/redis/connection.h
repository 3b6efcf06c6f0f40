// One connection to Redis or Valkey, over hiredis: commands out in one write, replies in, all within a
// deadline. hiredis's own blocking calls restart their time limit with each read; this doesn't.
//
// Thread-safety: one thread at a time.
// Errors: kUnavailable (can't connect, the peer went), kDeadline, kCorrupt (not Redis's protocol),
// kUnauthorized (the password). After one of them the connection is closed. What Redis answers is no error
// here, an error reply included.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "redis/reply.h"

struct redisContext;

namespace pmt::redis {

using Deadline = std::chrono::steady_clock::time_point;

struct Endpoint {
  std::string host = "127.0.0.1";
  int port = 6379;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
  std::string text() const;
};

struct Login {
  std::string user = {};
  std::string password = {};
  int database = 0;
};

/// redis://[user[:password]@]host[:port][/database]; `login` gets what it names.
/// Errors: kInvalidArgument.
base::Result<Endpoint> parse_url(const std::string& url, Login& login);

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
  explicit Connection(redisContext* context) : context_(context) {}
  base::Status exchange(std::size_t wanted, std::vector<Reply>& replies, Deadline until);
  base::Status wait(short events, Deadline until) const;
  base::Error failure() const;

  redisContext* context_;
};

}  // namespace pmt::redis
