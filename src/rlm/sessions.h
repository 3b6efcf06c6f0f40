// What `rlm` keeps from one request to the next where its caller names a session (`permutation.rlm.session`, note
// 0054): the contexts, what was asked and answered, and the REPL with its variables.
//
//   auto lease = sessions.take(tenant, id);    // nobody else has it meanwhile
//   sessions.hold(*lease, bytes); lease->session().contexts.push_back(...); ...
//   lease->keep();                             // answered; a new session that answered nothing is forgotten
//
// A session is its tenant's. It ends when it was idle for idle_s, by end(), or to make room: its tenant's least
// recently used idle one goes first, another tenant's only while that one has more of them. Until its next request no
// thread of its REPL runs.
//
// Thread-safety: any thread may call anything; a Lease belongs to one thread and ends before its Sessions. stop() before
// the sandbox goes.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "sandbox/sandbox.h"

namespace pmt::rlm {

/// The field of a request that names one.
inline constexpr char kSessionField[] = "permutation.rlm.session";

struct SessionLimits {
  int all_max = 16;
  int tenant_max = 8;
  double idle_s = 600;
  std::size_t bytes_max = std::size_t{256}
                          << 20;  // of all contexts that are kept; each REPL has them once more
};

struct Exchange {
  std::string question, answer;  // cut
};

/// Of one request, or of several.
struct Session {
  std::string id = {};                          // empty: of one request alone
  std::vector<nlohmann::json> contexts = {};    // each a string or an array of strings; the last is `context`
  std::vector<Exchange> history = {};           // the latest
  std::unique_ptr<sandbox::Session> repl = {};  // null: none was needed so far, or it is gone
  std::size_t contexts_given = 0;               // of contexts, to the REPL
  int answered = 0;
  std::string lost = {};  // why the variables of earlier requests are gone; empty: they aren't
};

class Sessions {
 public:
  /// One as others may see it.
  struct Shown {
    std::string id;
    int turns = 0;  // that were answered
    std::size_t contexts = 0, bytes = 0;
    bool repl = false, busy = false;
    double idle_s = 0;
  };
  /// All tenants' together, since the server began.
  struct Totals {
    std::uint64_t begun = 0, resumed = 0;  // requests that found none of their name, or one
    std::uint64_t closed_idle = 0, closed_for_room = 0, repls_closed = 0;
    std::size_t open = 0, busy = 0, bytes = 0, bytes_max = 0;
  };
  class Lease;

  Sessions(SessionLimits limits, const base::Clock& clock);
  /// stop()
  ~Sessions();

  /// Errors, by kSessionField: kConflict, another request has it; kExhausted (the tenant's) or kUnavailable (all), every one
  /// that could make room is busy.
  base::Result<Lease> take(const std::string& tenant, const std::string& id);
  /// Before so many bytes more are kept. Errors: kTooLarge, they never fit; kUnavailable, others are busy with theirs.
  base::Status hold(const Lease& lease, std::size_t bytes);
  /// Closes an idle one's REPL, whose contexts stay. Returns whether there was one that may be closed for this tenant.
  bool free_repl(const std::string& tenant);
  /// A tenant's, by their names.
  std::vector<Shown> list(const std::string& tenant) const;
  Totals totals() const;
  /// Errors: kNotFound; kConflict, a request has it.
  base::Status end(const std::string& tenant, const std::string& id);
  /// Those that were idle for too long. A thread of its own does it, too, while there are any sessions.
  void close_idle();
  /// Ends all, of which nobody has one any more.
  void stop();

 private:
  using Key = std::pair<std::string, std::string>;  // tenant, id
  struct Entry {
    Session session;
    std::size_t bytes = 0;
    bool busy = false;
    base::Nanos used_at{};
  };
  using Entries = std::map<Key, std::unique_ptr<Entry>>;
  using Fits = std::function<bool(const Entry&)>;

  void give_back(const Key& key, bool kept);
  int held(const std::string& tenant) const;
  /// The one to close for a tenant, by the rule above, among those that fit; end(): none.
  Entries::iterator victim(const std::string& tenant, const Fits& fits);
  /// Out of the table: a process is ended by whoever destroys it, without the lock.
  std::unique_ptr<Entry> remove(Entries::iterator at);
  std::vector<std::unique_ptr<Entry>> remove_idle();
  base::Status make_place(const std::string& tenant, std::vector<std::unique_ptr<Entry>>& closed);
  void sweep();

  const SessionLimits limits_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // stopping_, or a first entry
  Entries entries_;
  std::size_t bytes_ = 0;
  Totals totals_;  // its counters
  bool stopping_ = false;
  std::thread sweeper_;
};

class Sessions::Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&&) = delete;
  /// Gives it back.
  ~Lease();

  Session& session() const { return entry_->session; }
  /// Whether it had answered before.
  bool resumed() const { return entry_->session.answered > 0; }
  /// What was asked of it is answered.
  void keep(const std::string& question, const std::string& answer);

 private:
  friend class Sessions;
  Lease(Sessions& sessions, Key key, Entry& entry)
      : sessions_(&sessions), key_(std::move(key)), entry_(&entry) {}

  Sessions* sessions_;
  Key key_;
  Entry* entry_;
};

}  // namespace pmt::rlm
