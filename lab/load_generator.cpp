#include "lab/load_generator.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <memory>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace pmt::lab {
namespace {

using Clock = std::chrono::steady_clock;

double us_since(Clock::time_point from) {
  return std::chrono::duration<double, std::micro>(Clock::now() - from).count();
}

/// One answer as it arrives.
class Answer {
 public:
  void clear() { *this = Answer(); }
  /// True when it is whole.
  bool add(const char* bytes, std::size_t size) {
    text_.append(bytes, size);
    if (body_ == 0) {
      const auto end = text_.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      body_ = end + 4;
      chunked_ = text_.substr(0, end).find("chunked") != std::string::npos;
      const auto length = text_.find("ontent-");
      for (auto at = length; at != std::string::npos && at < end; at = text_.find("ontent-", at + 1)) {
        if (strncasecmp(text_.c_str() + at, "ontent-length:", 14) == 0)
          length_ = std::strtoul(text_.c_str() + at + 14, nullptr, 10);
      }
    }
    if (!chunked_) return text_.size() >= body_ + length_;
    return text_.size() >= body_ + 5 && text_.compare(text_.size() - 5, 5, "0\r\n\r\n") == 0;
  }
  bool has_body() const { return body_ != 0 && text_.size() > body_; }
  bool is_ok(const std::string& must) const {
    return text_.compare(0, 12, "HTTP/1.1 200") == 0 &&
           (must.empty() || text_.find(must) != std::string::npos);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::size_t body_ = 0, length_ = 0;
  bool chunked_ = false;
};

struct Peer {
  int socket = -1;
  Clock::time_point due;
  Answer answer;
  bool busy = false, seen_first = false;
};

class Run {
 public:
  explicit Run(const LoadOptions& options)
      : options_(options), peers_(static_cast<std::size_t>(options.connections)) {}
  ~Run() {
    for (const Peer& peer : peers_) close(peer.socket);
    close(timer_);
    close(epoll_);
  }

  base::Result<Load> run() {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(timer_, nullptr);
    for (Peer& peer : peers_) {
      TRY(connect(peer));
      idle_.push_back(&peer);
    }
    begin_ = Clock::now() + std::chrono::milliseconds(20);
    total_ = static_cast<int>(options_.rate * options_.seconds);
    arm(begin_);
    while (done_ < total_) {
      epoll_event events[128];
      const int n = epoll_wait(epoll_, events, 128, 200);
      for (int i = 0; i < n; ++i) {
        if (events[i].data.ptr == nullptr) continue;
        TRY(receive(*static_cast<Peer*>(events[i].data.ptr)));
      }
      TRY(send_due());
      if (Clock::now() > due_at(total_) + std::chrono::seconds(10))
        return base::Error{base::Code::kDeadline,
                           fmt::format("{} of {} answers did not come", total_ - done_, total_)};
    }
    load_.sent = total_;
    load_.seconds = us_since(begin_) / 1e6;
    std::sort(load_.latency_us.begin(), load_.latency_us.end());
    std::sort(load_.first_byte_us.begin(), load_.first_byte_us.end());
    return std::move(load_);
  }

 private:
  Clock::time_point due_at(int i) const {
    return begin_ + std::chrono::nanoseconds(static_cast<std::int64_t>(i * 1e9 / options_.rate));
  }
  void watch(int descriptor, Peer* peer) const {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = peer}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  }
  void arm(Clock::time_point at) const {
    const auto ns = at.time_since_epoch().count();
    const itimerspec when{.it_interval = {},
                          .it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000}};
    timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
  }

  base::Status connect(Peer& peer) const {
    const auto colon = options_.url.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(options_.url.c_str() + colon + 1)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(peer.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      return base::Error{base::Code::kUnavailable,
                         fmt::format("can't connect to {}: {}", options_.url, std::strerror(errno))};
    const int on = 1;
    setsockopt(peer.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(peer.socket, F_SETFL, O_NONBLOCK);
    watch(peer.socket, &peer);
    return {};
  }

  base::Status send_due() {
    const auto now = Clock::now();
    while (next_ < total_ && !idle_.empty() && due_at(next_) <= now) {
      Peer& peer = *idle_.front();
      idle_.pop_front();
      peer.answer.clear();
      peer.busy = true;
      peer.seen_first = false;
      peer.due = due_at(next_);
      const std::string request = options_.request(next_++);
      if (send(peer.socket, request.data(), request.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(request.size()))
        return base::Error{base::Code::kIo, "a request did not go out in one write"};
    }
    if (next_ < total_ && !idle_.empty()) arm(due_at(next_));
    return {};
  }

  base::Status receive(Peer& peer) {
    char bytes[16 * 1024];
    const ssize_t n = recv(peer.socket, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (n <= 0) {  // the server closed it: an answer that it owed is wrong, and another connection takes over
      close(peer.socket);
      if (peer.busy) finish(peer, false);
      return connect(peer);
    }
    if (!peer.busy) return {};
    const bool whole = peer.answer.add(bytes, static_cast<std::size_t>(n));
    if (!peer.seen_first && peer.answer.has_body()) {
      peer.seen_first = true;
      load_.first_byte_us.push_back(us_since(peer.due));
    }
    if (whole) finish(peer, peer.answer.is_ok(options_.must_contain));
    return {};
  }

  void finish(Peer& peer, bool right) {
    ++done_;
    load_.latency_us.push_back(us_since(peer.due));
    if (!right && load_.wrong++ == 0) load_.first_wrong = peer.answer.text().substr(0, 500);
    peer.busy = false;
    idle_.push_back(&peer);
  }

  const LoadOptions& options_;
  std::vector<Peer> peers_;
  std::deque<Peer*> idle_;
  Load load_;
  int epoll_ = -1, timer_ = -1;
  int total_ = 0, next_ = 0, done_ = 0;
  Clock::time_point begin_;
};

}  // namespace

base::Result<Load> run_load(const LoadOptions& options) {
  return Run(options).run();
}

std::string post_of(const std::string& target, const std::string& body, const std::string& headers) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{}content-length: "
      "{}\r\n\r\n{}",
      target, headers, body.size(), body);
}

}  // namespace pmt::lab
