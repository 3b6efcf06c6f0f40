#include "net/client_socket.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace pmt::net {
namespace {

base::Error system_error(int number) {
  // A limit set by SO_RCVTIMEO or SO_SNDTIMEO shows as EAGAIN, or EINPROGRESS while connecting.
  if (number == EAGAIN || number == EWOULDBLOCK || number == EINPROGRESS || number == ETIMEDOUT) {
    return {base::Code::kDeadline, "timed out"};
  }
  return {base::Code::kIo, std::strerror(number)};
}

void set_limits(int descriptor, int timeout_s) {
  const timeval limit{.tv_sec = timeout_s, .tv_usec = 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

base::Result<ClientSocket> ClientSocket::connect(const std::string& host, const std::string& port,
                                                 int timeout_s) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int failure = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); failure != 0) {
    return base::Error{base::Code::kUnavailable, ::gai_strerror(failure)};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  base::Error last{base::Code::kUnavailable, "no address"};
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    ClientSocket socket(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol));
    if (!socket.is_open()) {
      last.message = std::strerror(errno);
      continue;
    }
    set_limits(socket.descriptor_, timeout_s);
    if (::connect(socket.descriptor_, at->ai_addr, at->ai_addrlen) == 0) return socket;
    last = system_error(errno);
    if (last.code == base::Code::kIo) last.code = base::Code::kUnavailable;
  }
  return last;
}

void ClientSocket::close() {
  if (is_open()) ::close(std::exchange(descriptor_, -1));
}

void ClientSocket::end_sending() {
  ::shutdown(descriptor_, SHUT_WR);
}

base::Status ClientSocket::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return system_error(errno);
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

base::Result<std::size_t> ClientSocket::receive(char* into, std::size_t size) {
  for (;;) {
    const ssize_t received = ::recv(descriptor_, into, size, 0);
    if (received >= 0) return static_cast<std::size_t>(received);
    if (errno != EINTR) return system_error(errno);
  }
}

}  // namespace pmt::net
