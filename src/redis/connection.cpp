#include "redis/connection.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
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

}  // namespace

std::string Endpoint::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

base::Result<Endpoint> parse_url(const std::string& url, Login& login) {
  const auto wrong = [](const char* what) {
    return base::invalid(
        fmt::format("{}; it looks like redis://host:6379 or redis://user@host:6379/0", what));
  };
  constexpr std::string_view kScheme = "redis://";
  std::string_view rest = url;
  if (rest.substr(0, kScheme.size()) != kScheme) return wrong("must begin with redis://");
  rest.remove_prefix(kScheme.size());
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view who = rest.substr(0, at);
    const auto colon = who.find(':');
    login.user = who.substr(0, colon);
    if (colon != std::string_view::npos) login.password = who.substr(colon + 1);
    rest.remove_prefix(at + 1);
  }
  const auto number = [](std::string_view text, int max) -> int {
    int value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value <= max ? value : -1;
  };
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    const std::string_view database = rest.substr(slash + 1);
    login.database = database.empty() ? 0 : number(database, 1'000'000);
    if (login.database < 0) return wrong("the database after the / must be a number");
    rest = rest.substr(0, slash);
  }
  Endpoint out;
  const auto bracket = rest.find(']');
  const auto colon = rest.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    out.port = number(rest.substr(colon + 1), 65'535);
    if (out.port <= 0) return wrong("the port must be 1 to 65535");
    rest = rest.substr(0, colon);
  }
  if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
  if (rest.empty()) return wrong("names no host");
  out.host = rest;
  return out;
}

Connection::~Connection() {
  redisFree(context_);
}

base::Result<std::unique_ptr<Connection>> Connection::open(const Endpoint& where, const Login& login,
                                                           Deadline until) {
  const auto left = left_until(until);
  const timeval limit{.tv_sec = left.count() / 1000, .tv_usec = left.count() % 1000 * 1000};
  if (left.count() == 0) return base::Error{base::Code::kDeadline, "no time left to connect"};
  std::unique_ptr<Connection> out(
      new Connection(redisConnectWithTimeout(where.host.c_str(), where.port, limit)));
  redisContext* const context = out->context_;
  if (context == nullptr || context->err != 0) {
    const char* const why = context == nullptr ? "out of memory" : context->errstr;
    return base::Error{base::Code::kUnavailable,
                       fmt::format("can't connect to Redis at {}: {}", where.text(), why)};
  }
  // From here on this waits by poll, with one deadline for all reads and writes of a call.
  context->flags &= ~REDIS_BLOCK;
  fcntl(context->fd, F_SETFL, fcntl(context->fd, F_GETFL) | O_NONBLOCK);
  fcntl(context->fd, F_SETFD, FD_CLOEXEC);
  const int on = 1;
  setsockopt(context->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  TRY(set_up(*out, where, login, until));
  return out;
}

base::Error Connection::failure() const {
  const base::Code code =
      context_->err == REDIS_ERR_PROTOCOL ? base::Code::kCorrupt : base::Code::kUnavailable;
  return {code, fmt::format("Redis at {}:{}: {}", context_->tcp.host, context_->tcp.port, context_->errstr)};
}

base::Status Connection::wait(short events, Deadline until) const {
  pollfd one{.fd = context_->fd, .events = events, .revents = 0};
  while (true) {
    const int ready = poll(&one, 1, static_cast<int>(left_until(until).count()));
    if (ready > 0) return {};
    if (ready < 0 && errno == EINTR) continue;
    return base::Error{base::Code::kDeadline, fmt::format("Redis at {}:{} gave no answer in time",
                                                          context_->tcp.host, context_->tcp.port)};
  }
}

base::Status Connection::exchange(std::size_t wanted, std::vector<Reply>& replies, Deadline until) {
  int written = 0;
  while (replies.size() < wanted) {
    if (written == 0 && redisBufferWrite(context_, &written) != REDIS_OK) return failure();
    void* raw = nullptr;
    if (redisGetReplyFromReader(context_, &raw) != REDIS_OK) return failure();
    if (raw != nullptr) {
      replies.push_back(reply_of(*static_cast<redisReply*>(raw)));
      freeReplyObject(raw);
      continue;
    }
    TRY(wait(static_cast<short>(written == 0 ? POLLIN | POLLOUT : POLLIN), until));
    // Reading when there is nothing yet is no error of a connection that does not block.
    if (redisBufferRead(context_) != REDIS_OK) return failure();
  }
  return {};
}

base::Result<std::vector<Reply>> Connection::call(const std::vector<const Command*>& commands,
                                                  Deadline until) {
  std::vector<const char*> words;
  std::vector<std::size_t> lengths;
  for (const Command* command : commands) {
    words.clear();
    lengths.clear();
    for (const std::string& word : command->words) {
      words.push_back(word.data());
      lengths.push_back(word.size());
    }
    if (redisAppendCommandArgv(context_, static_cast<int>(words.size()), words.data(), lengths.data()) !=
        REDIS_OK)
      return failure();
  }
  std::vector<Reply> replies;
  replies.reserve(commands.size());
  TRY(exchange(commands.size(), replies, until));
  return replies;
}

base::Result<Reply> Connection::call(const Command& command, Deadline until) {
  TRY_ASSIGN(auto replies, call(std::vector<const Command*>{&command}, until));
  return std::move(replies.front());
}

}  // namespace pmt::redis
