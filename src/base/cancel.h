// A flag that says "nobody waits for this any more": set once by the waiting side, polled by the worker.
// Thread-safety: any thread may call anything.
#pragma once

#include <atomic>
#include <memory>

namespace pmt::base {

class CancelToken {
 public:
  CancelToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void cancel() const { flag_->store(true, std::memory_order_release); }
  bool cancelled() const { return flag_->load(std::memory_order_acquire); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace pmt::base
