// JSON lines over a socket to a process that may be hostile: no read or write waits longer than it is told
// to, no line is longer than it may be (by more than one read), and what isn't one JSON object a line is an
// error. Not thread-safe.
#pragma once

#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace pmt::sandbox {

struct Deadline {
  base::Nanos at{};  // by the steady clock
  const base::CancelToken* cancel = nullptr;
};
/// That much from now.
Deadline in_seconds(double seconds, const base::CancelToken* cancel = nullptr);

class Channel {
 public:
  Channel(int socket, std::size_t line_bytes_max) : socket_(socket), line_bytes_max_(line_bytes_max) {}

  /// Errors: kDeadline, kCancelled, kUnavailable (the other end is closed).
  base::Status send(const nlohmann::json& frame, const Deadline& deadline);
  /// The next line's object. Errors also: kTooLarge (a line over the limit), kCorrupt (not a JSON object).
  base::Result<nlohmann::json> receive(const Deadline& deadline);
  /// Bytes received since the channel was made.
  std::size_t bytes_received() const { return bytes_received_; }

 private:
  base::Status wait(short events, const Deadline& deadline) const;

  int socket_;
  std::size_t line_bytes_max_;
  std::string buffer_;
  std::size_t searched_ = 0;  // of buffer_, without a line's end
  std::size_t bytes_received_ = 0;
};

}  // namespace pmt::sandbox
