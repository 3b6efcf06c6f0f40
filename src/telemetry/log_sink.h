// Where log lines go: stderr, or a file that can be opened anew after it was moved away. A line never ends or
// holds up who wrote it: one that can't be written now (the reader went away or takes nothing, the disk is
// full) is lost and counted, and the next that can be written is preceded by how many were lost.
// Thread-safety: any thread. Cost: the write, under a lock; a reader that stops taking costs 20 ms once.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include <spdlog/sinks/base_sink.h>

#include "base/result.h"

namespace pmt::telemetry {

class LogSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  /// Writes to stderr, or to what `fd` is (borrowed).
  explicit LogSink(int fd = 2);
  ~LogSink() override;
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  /// Goes on in this file, at its end (made if absent); "": on stderr. The same path again opens it anew.
  /// Errors (kIo, kInvalidArgument: no file): lines go where they went.
  base::Status open(const std::string& path);
  std::uint64_t lost() const { return lost_; }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}
  void go_on_with(int fd, bool owned);
  std::string lost_note();
  bool put(std::string_view bytes);
  bool wait_until_ready();

  const int stderr_;
  int fd_ = -1;
  bool owned_ = false, socket_ = false, colored_ = false;
  bool stuck_ = false;  // the last line was lost: no patience until one goes through
  bool cut_ = false;    // the beginning of a lost line was written
  std::uint64_t untold_ = 0;
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace pmt::telemetry
