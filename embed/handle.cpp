#include "embed/handle.h"

#include <pthread.h>

#include <mutex>
#include <vector>

namespace pmt::embed {
namespace {

std::atomic<std::uint32_t> forks{0};
thread_local int callbacks = 0;

struct Kept {
  std::mutex mutex;
  std::vector<std::shared_ptr<void>> handles;
};

}  // namespace

std::uint32_t fork_generation() {
  static const int watched =
      pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(watched);
  return forks.load(std::memory_order_relaxed);
}

void keep(std::shared_ptr<void> handle) {
  static Kept* const kept = new Kept;  // never destroyed: other threads may still come at exit
  const std::lock_guard lock(kept->mutex);
  kept->handles.push_back(std::move(handle));
}

bool in_callback() {
  return callbacks > 0;
}
CallbackScope::CallbackScope() {
  ++callbacks;
}
CallbackScope::~CallbackScope() {
  --callbacks;
}

}  // namespace pmt::embed
