// A handle that is answered after its end. What is behind it is freed by close(); the handle itself (64 bytes) is kept
// until the process ends, so a pointer to it may be used at any time, by any thread.
//
//   if (auto use = handle->use()) use->work();   // what is behind stays while `use` lives
//
// A handle that was opened before a fork() is closed in the child: the threads behind it are the parent's.
// Thread-safety: any thread. Cost: use() is two atomic additions.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace pmt::embed {

/// How many fork()s this process is away from the first one that used the library.
std::uint32_t fork_generation();

template <class T>
class Handle {
 public:
  /// Keeps `behind` from being freed.
  class Use {
   public:
    explicit Use(Handle* handle) : handle_(handle) {}
    ~Use() {
      if (handle_ != nullptr) handle_->leave();
    }
    Use(Use&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Use& operator=(Use&&) = delete;
    explicit operator bool() const { return handle_ != nullptr; }
    T* operator->() const { return handle_->behind_.get(); }
    T& operator*() const { return *handle_->behind_; }

   private:
    Handle* handle_;
  };

  explicit Handle(std::unique_ptr<T> behind) : behind_(std::move(behind)), generation_(fork_generation()) {}

  /// False: it is closed.
  Use use() {
    if (generation_ != fork_generation()) return Use(nullptr);
    if ((uses_.fetch_add(1, std::memory_order_acquire) & kClosed) == 0) return Use(this);
    leave();
    return Use(nullptr);
  }

  /// Ends all further use, calls `stop` with what is behind, waits until nobody uses it and frees it. False: it was
  /// closed already.
  template <class Stop>
  bool close(Stop&& stop) {
    if (generation_ != fork_generation()) return false;
    if ((uses_.fetch_add(1, std::memory_order_acquire) & kClosed) != 0 ||
        (uses_.fetch_or(kClosed, std::memory_order_acq_rel) & kClosed) != 0) {
      leave();
      return false;
    }
    stop(*behind_);
    leave();
    freed_.wait(false, std::memory_order_acquire);
    return true;
  }

 private:
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63U;

  void leave() {
    if (uses_.fetch_sub(1, std::memory_order_acq_rel) != (kClosed | 1)) return;
    // Who comes too late leaves again, and may be the last more than once.
    if (ending_.exchange(true, std::memory_order_acq_rel)) return;
    behind_.reset();
    freed_.store(true, std::memory_order_release);
    freed_.notify_all();
  }

  std::unique_ptr<T> behind_;
  std::atomic<std::uint64_t> uses_{0};
  const std::uint32_t generation_;
  std::atomic<bool> ending_{false}, freed_{false};
};

/// Keeps `handle` reachable for ever: what looks for lost memory must not take it for lost.
void keep(std::shared_ptr<void> handle);

/// Whether this thread is inside of a callback of the caller's.
bool in_callback();
class CallbackScope {
 public:
  CallbackScope();
  ~CallbackScope();
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;
};

}  // namespace pmt::embed
