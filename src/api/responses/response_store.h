// What POST /v1/responses keeps for later: each answer with its items, under its id, for its tenant alone.
// A later request goes on from it (previous_response_id), and who asked in the background fetches it.
//
// In memory: gone with the process. Of each tenant at most `tenant_bytes_max`, of all `bytes_max`; above, the
// longest unused go, of the tenant that has most. Going on from a response uses all that lead to it. One that
// is still being written stays.
// Thread-safety: any thread may call anything. Cost: one lock; a conversation costs its length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"

namespace pmt::api {

struct ResponseStoreOptions {
  std::size_t tenant_bytes_max = 32ULL << 20;
  std::size_t bytes_max = 256ULL << 20;
  double ttl_s = 30.0 * 24 * 3600;
  std::size_t running_max = 64;  // of a tenant, in the background
};

struct StoredResponse {
  std::string tenant = {};
  std::string previous = {};             // the id that it went on from
  std::vector<std::string> input = {};   // its own items, JSON texts
  std::vector<std::string> output = {};  // likewise
  std::string json = {};                 // the response as it is now
  /// Set while it is being written in the background: who cancels it ends it.
  std::optional<base::CancelToken> running = {};
};

/// Who asks.
struct ResponseReader {
  std::string tenant;
  bool is_operator = false;  // sees every tenant's
};

struct ResponseStoreStats {
  std::uint64_t responses = 0, bytes = 0, evicted = 0, expired = 0;
};

class ResponseStore {
 public:
  ResponseStore(ResponseStoreOptions options, const base::Clock& clock) : options_(options), clock_(clock) {}

  /// Keeps a new one; one that is larger than the tenant's share isn't kept. Errors: kExhausted, too many of
  /// the tenant's run in the background.
  base::Status add(const std::string& id, StoredResponse response);
  /// Of one that runs: what it is now. Nothing, if it was cancelled or deleted since.
  void update(const std::string& id, StoredResponse response);

  /// Null: there is none, or it is another's.
  std::shared_ptr<const StoredResponse> find(const std::string& id, const ResponseReader& reader);
  bool erase(const std::string& id, const ResponseReader& reader);

  /// All items up to and with this response's, oldest first. Errors: kInvalidArgument, it or one before it
  /// isn't there (any more), or isn't finished.
  base::Result<std::vector<std::string>> conversation(const std::string& id, const ResponseReader& reader);
  /// Items of the conversation that led to it, its own input included.
  std::vector<std::string> inputs(const std::string& id, const ResponseReader& reader);
  /// One item by an id that we gave it. Null: as find.
  std::optional<std::string> item(const std::string& item_id, const ResponseReader& reader);

  ResponseStoreStats stats() const;

 private:
  struct Record {
    std::shared_ptr<const StoredResponse> response;
    std::size_t bytes = 0;
    base::Nanos stored_at{0};
    std::list<std::string>::iterator place;
  };
  struct Tenant {
    std::list<std::string> order = {};  // ids, the longest unused first
    std::size_t bytes = 0, running = 0;
  };
  using Records = std::unordered_map<std::string, Record>;

  Record* find_locked(const std::string& id, const ResponseReader& reader);
  void insert_locked(const std::string& id, StoredResponse response);
  void remove_locked(Records::iterator at);
  void make_room_locked();
  bool evict_one_locked(Tenant& tenant);
  bool expired(const Record& record) const;

  const ResponseStoreOptions options_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;  // guards what follows
  Records records_;
  std::unordered_map<std::string, Tenant> tenants_;
  std::size_t bytes_ = 0;
  std::uint64_t evicted_ = 0, expired_ = 0;
};

}  // namespace pmt::api
