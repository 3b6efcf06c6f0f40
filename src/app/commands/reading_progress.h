// How much of a prompt a local model has read, on stderr while somebody looks at it and nothing has come yet.
// Thread-safety: end() from any thread. Cost: a look at the pool's counters twice a second.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "inference/local_model.h"
#include "llm/request.h"

namespace pmt::app {

class ReadingProgress {
 public:
  /// `model` is asked nothing else meanwhile. Without a terminal on stderr nothing is shown.
  ReadingProgress(const inference::LocalModel& model, const llm::Request& request);
  ~ReadingProgress();
  ReadingProgress(const ReadingProgress&) = delete;
  ReadingProgress& operator=(const ReadingProgress&) = delete;

  /// Wipes the line: something else is shown from here on. Idempotent.
  void end();

 private:
  void run();

  const inference::LocalModel& model_;
  std::int64_t total_ = 0;   // tokens of the prompt
  std::int64_t before_ = 0;  // in the pool, kept of earlier prompts
  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;   // under mutex_
  bool shown_ = false;  // likewise
  std::thread thread_;
};

}  // namespace pmt::app
