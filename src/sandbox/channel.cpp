#include "sandbox/channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include "sandbox/frame.h"

namespace pmt::sandbox {
namespace {

using base::Code;
using base::Error;

constexpr int kCancelPollMs = 20;

base::Nanos now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

Error closed() {
  return {Code::kUnavailable, "the process closed its end"};
}

}  // namespace

Deadline in_seconds(double seconds, const base::CancelToken* cancel) {
  return {.at = now() + std::chrono::duration_cast<base::Nanos>(std::chrono::duration<double>(seconds)),
          .cancel = cancel};
}

base::Status Channel::wait(short events, const Deadline& deadline) const {
  while (true) {
    if (deadline.cancel != nullptr && deadline.cancel->cancelled())
      return Error{Code::kCancelled, "cancelled"};
    const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(deadline.at - now()).count();
    if (left_ms <= 0) return Error{Code::kDeadline, "out of time"};
    pollfd fd{.fd = socket_, .events = events, .revents = 0};
    const int ready = poll(&fd, 1, static_cast<int>(std::min<std::int64_t>(left_ms, kCancelPollMs)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return closed();
  }
}

base::Status Channel::send(const nlohmann::json& frame, const Deadline& deadline) {
  const std::string line = frame.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t n = ::send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN || errno == EINTR) {
      TRY(wait(POLLOUT, deadline));
    } else {
      return closed();
    }
  }
  return {};
}

base::Result<nlohmann::json> Channel::receive(const Deadline& deadline) {
  std::array<char, 1 << 16> piece;
  while (true) {
    const std::size_t end = buffer_.find('\n', searched_);
    if (end != std::string::npos) {
      auto frame = frame_object(std::string_view(buffer_).substr(0, end), line_bytes_max_ + piece.size());
      buffer_.erase(0, end + 1);
      searched_ = 0;
      return frame;
    }
    searched_ = buffer_.size();
    if (buffer_.size() > line_bytes_max_) {
      return Error{Code::kTooLarge, fmt::format("a frame of more than {} bytes", line_bytes_max_)};
    }
    TRY(wait(POLLIN, deadline));
    const ssize_t n = recv(socket_, piece.data(), piece.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return closed();
    if (n < 0) continue;
    buffer_.append(piece.data(), static_cast<std::size_t>(n));
    bytes_received_ += static_cast<std::size_t>(n);
  }
}

}  // namespace pmt::sandbox
