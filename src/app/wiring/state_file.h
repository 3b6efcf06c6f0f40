// Keeps a state over a restart: a file that is read once, and written whole by a thread of its own while the state
// changes, and at the end. A crash forgets at most what came since the last writing.
// A file that is no such state is set aside under another name and told; one that can't be written costs only what
// it is for. Thread-safety: made and destroyed by one thread. What the state's functions use outlives this.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"

namespace pmt::app {

struct KeptState {
  std::string name;  // for the log: "what keys have spent today"
  std::string path;
  std::chrono::milliseconds between{1000};  // two writings at least
  std::size_t bytes_max = 0;                // of a file that is read
  std::function<std::string()> state;
  std::function<std::uint64_t()> version;  // goes up with each change of the state
  std::function<base::Status(std::string_view)> restore;
};

class StateFile {
 public:
  explicit StateFile(KeptState kept);
  ~StateFile();
  StateFile(const StateFile&) = delete;
  StateFile& operator=(const StateFile&) = delete;

 private:
  void read();
  void run();
  void write();

  const KeptState kept_;
  std::uint64_t written_version_ = 0;  // the thread's own, like
  bool told_ = false;                  // that it can't be written
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace pmt::app
