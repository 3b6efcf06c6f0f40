// Frees the memory that void values take in Redis: after an invalidation it looks at every value's beginning,
// in steps of some hundred, and removes those that are void. Correctness needs none of this (what is void is
// never given): it is so that what was purged is gone.
// Thread-safety: any thread may call anything.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "response_cache/shared/redis_log.h"

namespace pmt::response_cache {

class RedisSweeper {
 public:
  RedisSweeper(const RedisOptions& options, const RedisNames& names, const RedisLog& log);
  ~RedisSweeper();
  void request();
  std::uint64_t swept() const { return swept_; }

 private:
  void run();
  base::Status sweep();
  base::Status sweep_part(const std::vector<redis::Reply>& keys);
  base::Result<std::vector<std::string>> sweep_values(const std::vector<std::string>& names,
                                                      const char* last_byte);
  bool stopped() const;

  const RedisOptions& options_;
  const RedisNames& names_;
  const RedisLog& log_;
  redis::Link link_;
  std::atomic<std::uint64_t> swept_{0};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool wanted_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace pmt::response_cache
