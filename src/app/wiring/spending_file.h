// Keeps what keys have spent today over a restart: a file that is read once and written by a thread of its own, at
// most once a second, and at the end. A crash forgets at most that second.
// A file that is no such thing is set aside under another name and told; one that can't be written costs only what
// it is for. Thread-safety: made and destroyed by one thread. The spending outlives this.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "api/day_spending.h"

namespace pmt::app {

class SpendingFile {
 public:
  SpendingFile(api::DaySpending& spending, std::string path);
  ~SpendingFile();
  SpendingFile(const SpendingFile&) = delete;
  SpendingFile& operator=(const SpendingFile&) = delete;

 private:
  void read();
  void run();
  void write();

  api::DaySpending& spending_;
  const std::string path_;
  std::uint64_t written_version_ = 0;  // the thread's own, like
  bool told_ = false;                  // that it can't be written
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace pmt::app
