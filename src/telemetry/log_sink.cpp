#include "telemetry/log_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <iterator>

#include <fmt/format.h>

namespace pmt::telemetry {
namespace {

constexpr int kPatienceMs = 20;
constexpr std::size_t kPieceBytes = PIPE_BUF;  // a pipe that says it is ready takes so much at once

constexpr std::string_view kColors[] = {"\033[37m",        "\033[36m",        "\033[32m",
                                        "\033[33m\033[1m", "\033[31m\033[1m", "\033[1m\033[41m"};
constexpr std::string_view kColorOff = "\033[m";

/// The same pipe or terminal with a mode of its own: O_NONBLOCK on `fd` itself would hold for everybody who
/// shares it. -1 where that can't be (a file's place would be lost; a socket can be told for each write).
int opened_without_waiting(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !(S_ISFIFO(info.st_mode) || ::isatty(fd) == 1)) return -1;
  return ::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

base::Error cannot_write(const std::string& path, const std::string& why) {
  return {base::Code::kIo, fmt::format("[log] path: can't write to {}: {}", path, why)};
}

base::Result<int> open_file(const std::string& path) {
  // O_NONBLOCK: a pipe without a reader says so instead of waiting for one.
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
  if (fd < 0) return cannot_write(path, std::strerror(errno));
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
  ::close(fd);
  return cannot_write(path, "it is not a file");
}

void append_colored(const spdlog::memory_buf_t& text, const spdlog::details::log_msg& message,
                    std::string& out) {
  const std::string_view line(text.data(), text.size());
  const std::size_t from = message.color_range_start, to = message.color_range_end;
  const auto level = static_cast<std::size_t>(message.level);
  if (from >= to || to > line.size() || level >= std::size(kColors)) {
    out += line;
    return;
  }
  out += line.substr(0, from);
  out += kColors[level];
  out += line.substr(from, to - from);
  out += kColorOff;
  out += line.substr(to);
}

}  // namespace

LogSink::LogSink(int fd) : stderr_(fd) {
  (void)open("");
}

LogSink::~LogSink() {
  if (owned_) ::close(fd_);
}

base::Status LogSink::open(const std::string& path) {
  if (!path.empty()) {
    TRY_ASSIGN(const int fd, open_file(path));
    const std::lock_guard lock(mutex_);
    go_on_with(fd, true);
    return {};
  }
  const std::lock_guard lock(mutex_);
  const int fd = opened_without_waiting(stderr_);
  go_on_with(fd >= 0 ? fd : stderr_, fd >= 0);
  return {};
}

void LogSink::go_on_with(int fd, bool owned) {
  if (owned_) ::close(fd_);
  fd_ = fd;
  owned_ = owned;
  struct stat info {};
  socket_ = ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
  colored_ = ::isatty(fd) == 1;
  stuck_ = cut_ = false;
}

void LogSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t text;
  formatter_->format(message, text);
  std::string line = cut_ ? "\n" : "";
  line += lost_note();
  if (colored_)
    append_colored(text, message, line);
  else
    line.append(text.data(), text.size());
  if (put(line)) {
    stuck_ = cut_ = false;
    untold_ = 0;
    return;
  }
  stuck_ = true;
  ++untold_;
  ++lost_;
}

/// A line that says how many were lost since the last; "" if none.
std::string LogSink::lost_note() {
  if (untold_ == 0) return "";
  const std::string what = fmt::format("log: {} lines were lost here: they could not be written", untold_);
  spdlog::memory_buf_t text;
  formatter_->format({"permutation", spdlog::level::warn, what}, text);
  return {text.data(), text.size()};
}

bool LogSink::wait_until_ready() {
  pollfd one{.fd = fd_, .events = POLLOUT, .revents = 0};
  return ::poll(&one, 1, stuck_ ? 0 : kPatienceMs) > 0;
}

bool LogSink::put(std::string_view bytes) {
  const std::size_t all = bytes.size();
  while (!bytes.empty()) {
    if (!wait_until_ready()) break;
    const std::size_t size = std::min(bytes.size(), kPieceBytes);
    const ssize_t n = socket_ ? ::send(fd_, bytes.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL)
                              : ::write(fd_, bytes.data(), size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (!bytes.empty() && bytes.size() < all) cut_ = true;
  return bytes.empty();
}

}  // namespace pmt::telemetry
