// What long work over a text asks between its steps: whether anybody still waits for it, and whether the
// budget's seconds are over. It also tells how far the work is: at every tenth, where the text is long.
//
//   watch.begin("indexing", text.size());
//   for (...) { ...; TRY(watch.step(bytes)); }
//
// Thread-safety: one thread's. Cost: an addition a step; it looks every 256 KB, some milliseconds of any
// work.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "base/cancel.h"
#include "rlm/ledger.h"

namespace pmt::rlm {

class Watch {
 public:
  using Say = std::function<void(const std::string&)>;

  /// Nobody leaves, and nothing is said.
  Watch() = default;
  /// `ledger`: null for no limit; outlives this.
  Watch(base::CancelToken cancel, const Ledger* ledger, Say say)
      : cancel_(std::move(cancel)), ledger_(ledger), say_(std::move(say)) {}

  /// A new piece of work, over so many bytes.
  void begin(std::string what, std::size_t bytes);
  /// So many bytes more are done. Errors: kCancelled; kDeadline, the budget's.
  base::Status step(std::size_t bytes) {
    pending_ += bytes;
    if (pending_ < kLookBytes) return {};
    return look();
  }
  /// The same errors, at once.
  base::Status look();

 private:
  static constexpr std::size_t kLookBytes = 256 << 10;

  base::CancelToken cancel_;
  const Ledger* ledger_ = nullptr;
  Say say_ = nullptr;
  std::string what_;
  std::size_t bytes_ = 0, done_ = 0, pending_ = 0, tenths_said_ = 0;
};

}  // namespace pmt::rlm
