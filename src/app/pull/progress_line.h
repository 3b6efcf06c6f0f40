// How far a download is, on stderr: a line that is overwritten on a terminal; in a log a line each tenth.
// Thread-safety: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pmt::app {

class ProgressLine {
 public:
  /// `total`: bytes; "of about" says that it was guessed. `before`: bytes that were there at the start.
  struct Options {
    std::string name = {};
    std::uintmax_t total = 0;
    std::uintmax_t before = 0;
    bool about = false;
  };
  explicit ProgressLine(Options options);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Whether show() would do more than look at the clock: for who has to work to find out the bytes.
  bool is_due() const;
  void show(std::uintmax_t bytes);

 private:
  const Options options_;
  const bool live_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_ = start_;
  int shown_ = -1;
};

}  // namespace pmt::app
