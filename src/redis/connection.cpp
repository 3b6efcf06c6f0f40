#include "redis/connection.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace pmt::redis {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

milliseconds left_until(Deadline until) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(until - steady_clock::now()));
}

base::Status set_up(Connection& connection, const Endpoint& where, const Login& login, Deadline until) {
  std::vector<Command> commands;
  if (!login.password.empty()) {
    commands.push_back({.words = {"AUTH"}});
    if (!login.user.empty()) commands.back().words.push_back(login.user);
    commands.back().words.push_back(login.password);
  }
  if (login.database != 0) commands.push_back({.words = {"SELECT", std::to_string(login.database)}});
  for (const Command& command : commands) {
    TRY_ASSIGN(const Reply reply, connection.call(command, until));
    if (reply.is(Reply::Kind::kError)) {
      return base::Error{base::Code::kUnauthorized, fmt::format("Redis at {} refused {}: {}", where.text(),
                                                                command.words[0], reply.text)};
    }
  }
  return {};
}

/// A socket for the address; hiredis waits for it at most until then.
base::Result<redisContext*> connect(const Endpoint& where, Deadline until) {
  const auto left = left_until(until);
  const timeval limit{.tv_sec = left.count() / 1000, .tv_usec = left.count() % 1000 * 1000};
  if (left.count() == 0) return base::Error{base::Code::kDeadline, "no time left to connect"};
  redisContext* const context = where.socket.empty()
                                    ? redisConnectWithTimeout(where.host.c_str(), where.port, limit)
                                    : redisConnectUnixWithTimeout(where.socket.c_str(), limit);
  if (context != nullptr && context->err == 0) return context;
  const std::string why = context == nullptr ? "out of memory" : context->errstr;
  redisFree(context);
  return base::Error{base::Code::kUnavailable,
                     fmt::format("can't connect to Redis at {}: {}", where.text(), why)};
}

/// From here on we wait by poll, with one deadline for all reads and writes of a call.
void unblock(redisContext* context, const Endpoint& where) {
  context->flags &= ~REDIS_BLOCK;
  fcntl(context->fd, F_SETFL, fcntl(context->fd, F_GETFL) | O_NONBLOCK);
  fcntl(context->fd, F_SETFD, FD_CLOEXEC);
  const int on = 1;
  if (where.socket.empty()) setsockopt(context->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// In Redis's protocol. Null: out of memory.
bool append_command(std::string& out, const Command& command) {
  std::vector<const char*> words;
  std::vector<std::size_t> lengths;
  for (const std::string& word : command.words) {
    words.push_back(word.data());
    lengths.push_back(word.size());
  }
  char* text = nullptr;
  const auto size =
      redisFormatCommandArgv(&text, static_cast<int>(words.size()), words.data(), lengths.data());
  if (size < 0) return false;
  out.append(text, static_cast<std::size_t>(size));
  redisFreeCommand(text);
  return true;
}

}  // namespace

std::string Endpoint::text() const {
  if (!socket.empty()) return socket;
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

Connection::~Connection() {
  tls_.reset();  // before its socket
  redisFree(context_);
}

base::Result<std::unique_ptr<Connection>> Connection::open(const Endpoint& where, const Login& login,
                                                           Deadline until) {
  TRY_ASSIGN(redisContext* const context, connect(where, until));
  std::unique_ptr<Connection> out(new Connection(context, where));
  unblock(context, where);
  if (login.tls != nullptr) TRY(out->begin_tls(*login.tls, until));
  TRY(set_up(*out, where, login, until));
  return out;
}

base::Status Connection::begin_tls(const Tls& tls, Deadline until) {
  TRY_ASSIGN(tls_, TlsSession::over(context_->fd, tls, where_.host));
  while (true) {
    const auto step = tls_->handshake();
    if (!step) return failure(step.error().message);
    if (step->wait_for == 0) return {};
    TRY(wait(step->wait_for, until));
  }
}

base::Error Connection::failure(std::string_view why, base::Code code) const {
  return {code, fmt::format("Redis at {}: {}", where_.text(), why)};
}

base::Status Connection::wait(short events, Deadline until) const {
  pollfd one{.fd = context_->fd, .events = events, .revents = 0};
  while (true) {
    const int ready = poll(&one, 1, static_cast<int>(left_until(until).count()));
    if (ready > 0) return {};
    if (ready < 0 && errno == EINTR) continue;
    return failure("no answer in time", base::Code::kDeadline);
  }
}

base::Result<Moved> Connection::send(std::string_view bytes) {
  if (tls_) return tls_->send(bytes);
  const ssize_t size = ::send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (size >= 0) return Moved{.bytes = static_cast<std::size_t>(size)};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Moved{.wait_for = POLLOUT};
  return base::Error{base::Code::kUnavailable, std::strerror(errno)};
}

base::Result<Moved> Connection::receive(std::span<char> into) {
  if (tls_) return tls_->receive(into);
  const ssize_t size = ::recv(context_->fd, into.data(), into.size(), 0);
  if (size > 0) return Moved{.bytes = static_cast<std::size_t>(size)};
  if (size == 0) return base::Error{base::Code::kUnavailable, "the connection was closed"};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Moved{.wait_for = POLLIN};
  return base::Error{base::Code::kUnavailable, std::strerror(errno)};
}

base::Status Connection::exchange(std::string_view out, std::size_t wanted, std::vector<Reply>& replies,
                                  Deadline until) {
  std::array<char, 16 * 1024> chunk;  // as much as a record of TLS, so that none is left half-read in OpenSSL
  while (replies.size() < wanted) {
    short events = 0;
    if (!out.empty()) {
      const auto sent = send(out);
      if (!sent) return failure(sent.error().message);
      out.remove_prefix(sent->bytes);
      events = sent->wait_for;
      if (!out.empty() && events == 0) events = POLLOUT;
    }
    void* raw = nullptr;
    if (redisReaderGetReply(context_->reader, &raw) != REDIS_OK)
      return failure(context_->reader->errstr, base::Code::kCorrupt);
    if (raw != nullptr) {
      replies.push_back(reply_of(*static_cast<redisReply*>(raw)));
      freeReplyObject(raw);
      continue;
    }
    const auto got = receive(chunk);
    if (!got) return failure(got.error().message);
    if (got->bytes > 0) {
      if (redisReaderFeed(context_->reader, chunk.data(), got->bytes) != REDIS_OK)
        return failure(context_->reader->errstr, base::Code::kCorrupt);
      continue;
    }
    TRY(wait(static_cast<short>(events | got->wait_for), until));
  }
  return {};
}

base::Result<std::vector<Reply>> Connection::call(const std::vector<const Command*>& commands,
                                                  Deadline until) {
  std::string out;
  for (const Command* command : commands) {
    if (!append_command(out, *command)) return failure("out of memory");
  }
  std::vector<Reply> replies;
  replies.reserve(commands.size());
  TRY(exchange(out, commands.size(), replies, until));
  return replies;
}

base::Result<Reply> Connection::call(const Command& command, Deadline until) {
  TRY_ASSIGN(auto replies, call(std::vector<const Command*>{&command}, until));
  return std::move(replies.front());
}

}  // namespace pmt::redis
