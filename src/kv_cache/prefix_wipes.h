// Which tenants' prefixes are to be forgotten, for the owners of prefix indexes, each on a thread of its own, to act on.
// Thread-safety: any thread. Cost: one count where nothing was wiped.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace pmt::kv_cache {

class PrefixWipes {
 public:
  struct Since {
    std::uint64_t count = 0;  // of wipes, these included
    bool all = false;         // everybody's
    std::vector<std::string> tenants;
  };

  /// How many there were.
  std::uint64_t count() const { return count_; }
  /// Those after the first `seen`.
  Since since(std::uint64_t seen) const {
    const std::lock_guard lock(mutex_);
    Since out{.count = count_, .all = seen + last_.size() < count_, .tenants = {}};
    for (std::size_t i = last_.size(); i > 0 && count_ - (last_.size() - i) > seen; --i) {
      const std::optional<std::string>& tenant = last_[i - 1];
      out.all = out.all || !tenant;
      if (tenant) out.tenants.push_back(*tenant);
    }
    return out;
  }
  /// Of one tenant, or everybody's. Returns when all who listen know.
  void add(std::optional<std::string> tenant) {
    const std::lock_guard lock(mutex_);
    constexpr std::size_t kRemembered = 64;  // who hasn't looked since forgets everybody's
    if (last_.size() == kRemembered) last_.erase(last_.begin());
    last_.push_back(std::move(tenant));
    ++count_;
    for (const auto& [who, call] : listeners_) call();
  }

  /// `call` must not call back. Until ignore().
  void listen(const void* who, std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    listeners_[who] = std::move(call);
  }
  void ignore(const void* who) {
    const std::lock_guard lock(mutex_);
    listeners_.erase(who);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::optional<std::string>> last_;  // under mutex_: the last ones, the newest at the end
  std::map<const void*, std::function<void()>> listeners_;  // likewise
  std::atomic<std::uint64_t> count_{0};                     // changed under mutex_
};

}  // namespace pmt::kv_cache
