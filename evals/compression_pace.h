// How long a measurement still takes, from what its requests took so far; and lines on stderr while one request takes
// long. Thread-safety: Pace one thread; Ticker calls back from a thread of its own, until it is destroyed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace pmt::evals {

/// Seconds grow with the tokens of the text, for each kind of request at a rate of its own.
class Pace {
 public:
  /// Requires tokens > 0.
  void took(const std::string& kind, double tokens, double seconds);
  /// Of a kind that wasn't seen as of the mean kind; none: nothing was seen.
  std::optional<double> expected(const std::string& kind, double tokens) const;

 private:
  struct Sum {
    double tokens = 0, seconds = 0;
  };
  std::map<std::string, Sum> kinds_;
  Sum all_;
};

/// "95 s", "35 min", "3.2 h".
std::string duration_text(double seconds);

class Ticker {
 public:
  /// Calls `say` with the time since now, every `every` until it is destroyed.
  Ticker(std::chrono::milliseconds every, std::function<void(double seconds)> say);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;  // after what it uses
};

}  // namespace pmt::evals
