// A mutex for what takes some 20 ns: whoever finds it taken asks again for a moment before it sleeps, since
// sleeping and being woken costs microseconds (note 0008, "two cores"). Thread-safety: it is a lock.
#pragma once

#include <mutex>

namespace pmt::response_cache {

class BriefMutex {
 public:
  void lock() {
    constexpr int kTries = 100;  // about 4 us
    for (int i = 0; i < kTries; ++i) {
      if (mutex_.try_lock()) return;
      pause();
    }
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }

 private:
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  std::mutex mutex_;
};

}  // namespace pmt::response_cache
