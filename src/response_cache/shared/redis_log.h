// The follower of the invalidations' log: it tells this process's cache what became void, knows what is void
// of the values in Redis, and is the probe that finds a Redis that came back.
//
// Invariants:
// 1. The breaker goes up only when the table and this process have caught up with the log.
// 2. `position` moves on after this process has dropped what the record says, and others are told
//    (acknowledged) after that.
// Thread-safety: any thread may call anything.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "response_cache/shared/redis_replies.h"
#include "response_cache/shared/redis_store.h"
#include "response_cache/shared/redis_worker.h"
#include "response_cache/shared/shared_value.h"

namespace pmt::response_cache {

/// The shared keys' names. Those of one call share a slot.
struct RedisNames {
  explicit RedisNames(const std::string& name)
      : prefix(name),
        state("{" + name + "}:state"),
        voids("{" + name + "}:void"),
        log("{" + name + "}:log"),
        servers("{" + name + "}:servers"),
        folding("{" + name + "}:folding") {}
  std::string ack(std::uint64_t number) const { return "{" + prefix + "}:ack:" + std::to_string(number); }
  std::string value(const Key& key) const { return prefix + ":v:{" + key.hex() + "}"; }
  std::string lease(const Key& key) const { return prefix + ":l:{" + key.hex() + "}"; }
  const std::string prefix, state, voids, log, servers, folding;
};

redis::Command script(const char* text, std::vector<std::string> keys, std::vector<std::string> args);

class RedisLog {
 public:
  RedisLog(const RedisOptions& options, const RedisNames& names, Breaker& breaker);
  ~RedisLog();

  const std::string& id() const { return id_; }
  SharedStamp stamp() const {
    const std::lock_guard lock(mutex_);
    return {.epoch = epoch_, .number = position_};
  }
  bool covers(const Key& key, const StoreOptions& meta, const SharedStamp& stamp) const {
    return stamp.epoch != epoch_ || table_.covers(key, meta, stamp.number);
  }
  /// An invalidation that Redis has taken.
  void note(const Filter& filter, std::uint64_t number);
  /// One that could not be told: it is told first when Redis is back.
  void keep_pending(const Filter& filter);
  std::size_t pending() const;
  std::uint64_t received() const { return received_; }
  std::uint64_t servers() const { return servers_; }
  /// Whether this process has applied that number.
  bool await_position(std::uint64_t number, SteadyTime until) const;

 private:
  void follow();
  base::Status catch_up();
  base::Status follow_on();
  base::Result<JoinReply> join();
  /// A filter of Redis's table: its field and value there, and what they say.
  struct StoredRow {
    std::string name, used;
    TableRow row;
  };
  base::Result<std::vector<StoredRow>> stored_rows();
  base::Status read_table();
  base::Status fold();
  base::Status say_own();
  base::Result<std::size_t> read_log(bool block);
  base::Status apply(const redis::Reply& reply);
  void lose_track(std::uint64_t number);
  base::Result<redis::Reply> call(redis::Command command, std::chrono::milliseconds more = {});
  base::Status announce(const Filter& filter);
  void set_position(std::uint64_t number);
  void read_state();
  void write_state() const;

  const RedisOptions& options_;
  const RedisNames& names_;
  Breaker& breaker_;
  const std::string id_;
  redis::Link link_;
  InvalidationTable table_;
  std::atomic<std::uint64_t> epoch_{0}, position_{0}, received_{0}, servers_{0};

  // The follower's own.
  bool known_ = false;         // epoch_ and position_ were once true
  bool unsure_ = true;         // this process may hold what became void before it knew this Redis
  bool must_say_own_ = false;  // this Redis has never heard of what this server invalidated
  std::string last_id_;
  SteadyTime next_join_{};

  mutable std::mutex mutex_;
  mutable std::condition_variable moved_;
  std::vector<Filter> own_, pending_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace pmt::response_cache
