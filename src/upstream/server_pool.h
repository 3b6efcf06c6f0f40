// The servers behind one upstream's name: which of them take requests, how busy each is, and who gets the next
// request (server_choice.h). All models of the upstream share one pool (note 0033).
//
//   healthy --failures in a row--> down --a probe answers 2xx, or a request succeeds--> healthy
//                                  |  ^
//                                  |  | a probe or a request fails: left alone anew
//                                  after cooldown_s without a probe's word: asked again, one failure suffices
//   draining: takes no request, what runs goes on; a mark of its own beside the two
//   A server that asks for a long wait (Retry-After) gets it, whatever a probe would say.
//   One that goes down or is drained may come back without its cache: what it was sent is forgotten.
//
// Nobody is probed but who is down: GET /health of its origin, and where there is none, base_url + /models.
// Thread-safety: any thread. The client and the clock outlive this's last use of them. Requires: stop() before the
// client's stop; this outlives that one, and every Place.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/async_client.h"
#include "upstream/remote_options.h"
#include "upstream/sent_prefixes.h"
#include "upstream/server_choice.h"

namespace pmt::upstream {

struct PoolServer {
  std::string text;  // its URL as it was written: its name for people
  net::Url url;
};

inline constexpr std::size_t kPoolServersMax = 64;

struct ServerPoolOptions {
  std::string name;  // the upstream's
  std::vector<PoolServer> servers;
  ChoiceOptions choice = {};
  CooldownOptions cooldown = {};  // failures = 0: none is ever down
  double retry_after_max_s = 20;  // a server that asks for a longer wait is left alone so long
  double probe_interval_s = 5;
  double probe_timeout_s = 5;
  std::string api_key = {};
  std::function<void(const std::string&)> on_change = {};  // for the log: one is down, or back
};

struct ServerStatus {
  std::string url;
  bool down = false, draining = false;  // down: it failed, or it asked to be left alone
  double down_s = 0;                    // until it may be asked without a probe's word
  std::int64_t in_flight = 0;
  std::uint64_t requests = 0, failed = 0;  // attempts; failed: in a way that may go better elsewhere
  std::uint64_t probes = 0;
};

class ServerPool {
 public:
  /// One request's place at one server, from its start to its end.
  class Place {
   public:
    Place(ServerPool& pool, std::size_t server) : pool_(&pool), server_(server) {}
    Place(Place&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), server_(std::exchange(other.server_, 0)) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (pool_ != nullptr) pool_->leave(server_);
    }
    std::size_t server() const { return server_; }
    /// It answered, be it with a refusal that is the request's own fault.
    void succeeded() const { pool_->succeeded(server_); }
    void failed(const base::Error& error) const { pool_->failed(server_, error); }

   private:
    ServerPool* pool_;
    std::size_t server_;
  };

  struct Asked {
    std::optional<std::uint64_t> conversation =
        {};                                     // null: has no beginning to be found again; the least busy
    std::span<const std::uint64_t> chain = {};  // of its prompt
    std::uint64_t tried = 0;                    // bits of servers that must not be chosen
  };

  /// Requires: 1 to kPoolServersMax servers.
  ServerPool(ServerPoolOptions options, net::AsyncClient& client, const base::Clock& clock);

  /// Errors: kUnavailable, nobody takes requests but those that were tried; with the wait where one is known.
  base::Result<Place> take(const Asked& asked);

  /// What runs there goes on. Errors: kNotFound, naming those that there are.
  base::Status set_draining(const std::string& url, bool draining);

  std::vector<ServerStatus> status() const;
  const ServerPoolOptions& options() const { return options_; }
  /// Until somebody takes requests; 0: somebody does, or that isn't known.
  double down_s() const;
  /// Probes no more, and takes no failure for one: the client is about to stop.
  void stop();

 private:
  class Probe;
  struct Server {
    bool down = false, draining = false, probing = false;
    int failures = 0;                      // attempts in a row
    base::Nanos until{0}, asked_until{0};  // left alone: because it failed, because it asked for it
    std::int64_t in_flight = 0;
    std::uint64_t requests = 0, failed = 0, probes = 0;
  };
  enum class Verdict { kAlive, kDead, kUnknown };

  void leave(std::size_t at);
  void succeeded(std::size_t at);
  void failed(std::size_t at, const base::Error& error);
  /// Under mutex_. Whether it was healthy.
  bool mark_down(Server& server, double rest_s) const;
  bool takes(const Server& server) const;
  bool is_down(const Server& server) const { return server.down || server.asked_until > clock_.now(); }
  double rest_s(const Server& server) const;
  std::vector<ServerLoad> loads(std::uint64_t tried) const;
  base::Error nobody() const;
  void watch(std::size_t at);
  void probe(std::size_t at, bool health);
  void probed(std::size_t at, Verdict verdict);
  void tell(std::size_t at, const std::string& what) const;

  const ServerPoolOptions options_;
  net::AsyncClient& client_;
  const base::Clock& clock_;
  const base::CancelToken stop_;
  std::vector<std::uint64_t> ids_;
  mutable std::mutex mutex_;
  std::vector<Server> servers_;  // guarded by mutex_, like all below
  SentPrefixes sent_;
  std::uint64_t taken_ = 0;
};

}  // namespace pmt::upstream
