// The shared tier over Redis or Valkey, one server or a Cluster (note 0012).
//
// Three threads of its own: one asks (redis_worker.h), one follows the log of invalidations and probes while
// the store is down, one frees the memory of void values after an invalidation.
//
// Thread-safety and errors: as SharedStore.
// Cost: a lookup that no RAM answers is one round trip; a store another, behind the answer.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "redis/link.h"
#include "response_cache/shared/shared_store.h"

namespace pmt::response_cache {

struct RedisOptions {
  redis::Endpoint seed = {};
  redis::Login login = {};
  std::string prefix = "permutation";          // of every key: servers that share have the same
  std::chrono::milliseconds timeout{100};      // of one command, connecting included
  std::chrono::milliseconds retry{1000};       // between two probes while it is down
  std::chrono::milliseconds lease{5000};       // how long a dead holder keeps the others waiting
  std::chrono::milliseconds wait_max{10'000};  // for an answer that another server computes
  std::chrono::milliseconds reach_max{2000};   // for the other servers to apply an invalidation
  double ttl_s_max = 7 * 86'400;               // a value's life, if its own is longer or has no end
  std::size_t entry_bytes_max = 4 << 20;       // a larger one stays with its server
  std::size_t waiting_bytes_max = 64 << 20;    // of stores: above, they stay with their server
  std::size_t filters_max = InvalidationTable::kFiltersMax;  // of invalidations that Redis keeps
  std::string state_file = {};  // where a server with a disk notes which invalidations it has applied

  /// Removes from this process what matches; by the log's thread.
  std::function<void(const Filter&)> drop = [](const Filter&) {};
  /// The same by a question.
  std::function<void(const std::function<bool(const Key&, const StoreOptions&)>&)> drop_if = [](const auto&) {
  };
  /// Makes durable what was removed, before the state file says that it was. False: it is not.
  std::function<bool()> settle = [] { return true; };
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

/// Begins to connect, and returns without waiting for that.
std::unique_ptr<SharedStore> open_redis(RedisOptions options, const base::Clock& clock);

}  // namespace pmt::response_cache
