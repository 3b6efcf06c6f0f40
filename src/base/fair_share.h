// Places that several tenants share, so that one of them can't hold them all: whoever holds some already gets
// another only while more are free than it holds. One tenant alone gets half, two a third each; a tenant that
// holds none gets the last one. Thread-safety: any thread may call anything. Cost: a look-up.
#pragma once

#include <map>
#include <mutex>
#include <string>

namespace pmt::base {

struct FairShareOptions {
  int places = 1;
  int tenant_max = 0;   // of one tenant, whatever is free; 0: by the rule above alone
  bool shared = false;  // false: there is one tenant only, which may have them all
};

class FairShare {
 public:
  enum class Taken { kYes, kFull, kTenantFull };

  explicit FairShare(const FairShareOptions& options) : options_(options) {}

  /// kFull: there is none; kTenantFull: what is left is for others. Give back what was kYes.
  Taken take(const std::string& tenant) {
    const std::lock_guard lock(mutex_);
    const int free = options_.places - all_;
    if (free <= 0) return Taken::kFull;
    const auto found = held_.find(tenant);
    const int held = found == held_.end() ? 0 : found->second;
    if (options_.tenant_max > 0 && held >= options_.tenant_max) return Taken::kTenantFull;
    if (options_.shared && held > 0 && held >= free) return Taken::kTenantFull;
    ++held_[tenant];
    ++all_;
    return Taken::kYes;
  }

  void give_back(const std::string& tenant) {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(tenant);
    if (found == held_.end()) return;
    --all_;
    if (--found->second == 0) held_.erase(found);
  }

  int held(const std::string& tenant) const {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(tenant);
    return found == held_.end() ? 0 : found->second;
  }

 private:
  const FairShareOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, int> held_;  // only tenants that hold some
  int all_ = 0;
};

}  // namespace pmt::base
