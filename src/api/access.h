// Who may do what, and how much: the gate that every request passes before its route (note 0016).
//
//   scope      | opens
//   (none)     | GET /health, GET /, GET /openapi.json
//   inference  | /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages, /v1/embeddings, /v1/rerank,
//              | /v1/tokenize, /v1/detokenize, /v1/models; all of them without /v1 too
//   cache      | /v1/cache: the own tenant's entries only
//   knowledge  | /v1/knowledge
//   admin      | everything, over all tenants: the operator; POST /v1/models/NAME/load and /unload
// A path that isn't in this table needs `admin`: a new route is closed until somebody opens it.
// A key comes as "Authorization: Bearer KEY" or, where no such header does, as "x-api-key: KEY".
//
// Without keys everybody is the operator, and the server listens on loopback only. Then browsers are the way
// in: a request whose Origin is foreign is refused, and one whose Host isn't this machine or an allowed host
// (host_check.h), which is how a rebound DNS name shows itself.
//
// A key with a budget of dollars a day is refused what a model would be asked for once they are spent
// (insufficient_quota); what was computed before can still be fetched. A hit costs nothing, and is refused too:
// whether it is one is only known behind the gate.
//
// Keys are kept as their SHA-256: they have 256 random bits, so nobody can try them, fast hash or not. The
// lookup is by that hash, so its time says nothing about the keys that there are.
// Thread-safety: any thread. Cost: one SHA-256 of the key.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/day_spending.h"
#include "api/host_check.h"
#include "api/rate_limit.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"
#include "net/http.h"

namespace pmt::api {

enum class Scope { kPublic, kInference, kCache, kKnowledge, kAdmin };
const char* to_string(Scope scope);
/// Null unless it is one that a key can have.
std::optional<Scope> scope_of_name(std::string_view name);
/// What a request for this path needs; a POST to /v1/models, which loads and unloads, needs admin.
Scope scope_of_path(std::string_view path);
Scope scope_of(const net::HttpRequest& request);

struct KeyOptions {
  std::string name;  // for people, logs and metrics
  base::Digest sha256;
  std::string tenant = {};  // keys of one tenant share caches; "": the tenant of no name
  std::vector<Scope> scopes = {Scope::kInference};
  double requests_per_minute = 0;  // of the inference scope's requests; 0: no limit, as below
  double tokens_per_minute = 0;    // prompt and answer, computed: what a cache gave is free
  int concurrent_max = 0;
  double budget_usd_per_day = 0;
};

/// What a key has used: of the key, whatever else about it changes.
struct Meters {
  Meters(const KeyOptions& key, const base::Clock& clock)
      : requests(key.requests_per_minute, clock), tokens(key.tokens_per_minute, clock) {}
  RateBucket requests, tokens;
  std::atomic<int> running{0};
};

/// Somebody who was let in, as the key was then.
struct Caller {
  Caller(KeyOptions key_options, std::shared_ptr<Meters> used)
      : key(std::move(key_options)), meters(std::move(used)) {}
  bool has(Scope scope) const;
  bool is_operator() const { return has(Scope::kAdmin); }
  const std::string& tenant() const { return key.tenant; }

  const KeyOptions key;
  const std::shared_ptr<Meters> meters;
};

struct AccessOptions {
  std::vector<KeyOptions> keys = {};
  HostCheckOptions hosts = {};      // asked where there are no keys, but for its cors
  DaySpending* spending = nullptr;  // what keys have spent, by their names; null: budgets hold nobody
};

class Access {
 public:
  Access(AccessOptions options, const base::Clock& clock);

  struct Decision {
    std::shared_ptr<Caller> caller;  // null: refused
    net::Headers headers;            // for the answer: x-ratelimit-*, retry-after, www-authenticate
    base::Error error;               // why refused
    bool counted = false;            // one of caller->running, until leave()
  };
  Decision enter(const net::HttpRequest& request);
  static void leave(const Decision& decision);
  /// x-ratelimit-* of the limits that the key has, as they are now.
  static void add_limit_headers(Caller& caller, net::Headers& headers);

  /// A key that has a budget, and how much of it is spent.
  struct Budget {
    std::string key, tenant;
    double usd_per_day = 0, spent_usd = 0;
    std::uint64_t refusals = 0;
  };
  std::vector<Budget> budgets() const;

  /// These keys from now on, and no others. Who was let in before stays in. A key that was there before keeps
  /// what it has used, under its new limits.
  void set_keys(std::vector<KeyOptions> keys);
  bool has_keys() const { return !keys()->empty(); }
  /// Those that keys belong to, in the order of their names, the one of no name first: it is always there.
  std::vector<std::string> tenants() const;
  /// Which pages may read the answers.
  const Cors& cors() const { return hosts_.cors(); }
  /// Whether who was let in would be now, for what goes on for long: the key may have been withdrawn since.
  bool still_has(const Caller& caller, Scope scope) const;

 private:
  using Keys = std::unordered_map<base::Digest, std::shared_ptr<Caller>, base::DigestHash>;
  std::shared_ptr<const Keys> keys() const;
  Decision enter_without_keys(const net::HttpRequest& request, Scope scope) const;
  /// What refuses this request for its key's budget; null if nothing does.
  std::optional<Decision> over_budget(const Caller& caller, const net::HttpRequest& request) const;

  const base::Clock& clock_;
  const HostCheck hosts_;
  DaySpending* const spending_;
  const std::shared_ptr<Caller> anybody_, nobody_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Keys> keys_;  // under mutex_, not what it points to
};

}  // namespace pmt::api
