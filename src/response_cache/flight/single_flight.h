// Single flight: of identical requests that come while one is being answered, only the first computes; the
// others attach to its event log. Used by CachedCompleter only.
//
//   Waiter (one a request, before its caller's sink)  --attached to-->  Flight's EventLog  <--  inner model
//
// Invariants:
// 1. A flight that others may join is in the table, and is taken out before its terminal event is appended:
//    whoever joins a flight sees its whole stream.
// 2. An answer is stored before its flight leaves the table, and whoever finds no flight looks into the cache
//    again under the table's lock: of any number of identical requests exactly one computes.
// 3. The inner computation is cancelled only when its last waiter has left.
// 4. A follower forwards Started only together with the next event. So when a flight fails, a follower that
//    has seen nothing can join again, as if it came now: the first of them leads the next computation.
// 5. A lookup that missed in RAM and on disk is counted when its waiter knows how it ended, once.
// 6. With a shared tier the flight asks there before it computes, so of all servers that share one computes,
//    and the others' flights end with its answer. What the flight holds of that (its reservation) it gives
//    back with its terminal event.
// Thread-safety: as noted on each class.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/usage_counter.h"
#include "llm/completer.h"
#include "response_cache/flight/event_log.h"
#include "response_cache/flight/recording.h"
#include "response_cache/response_cache.h"

namespace pmt::response_cache {

using Price = std::function<double(const llm::Request&, const llm::Usage&)>;

/// What the cache did for one request, with measured times. A part is written before the event that shows it
/// is delivered, so a sink may read it inside on_event.
struct Observation {
  double lookup_ms = 0;   // making the key and looking it up; 0 for a bypass
  int computations = 0;   // inner computations that this request started
  double compute_ms = 0;  // the last of them, to its Done
  double usd = 0;         // what that one cost
  double store_ms = 0;
  bool stored = false;
  std::string store_note;  // why it could not be stored, "" otherwise
};

class Flight;
class SingleFlight;

/// One request on its way. Thread-safety: leave from any thread; the rest by the event log's one at a time.
class Waiter final : public llm::Sink, public std::enable_shared_from_this<Waiter> {
 public:
  struct Job {
    std::shared_ptr<const llm::Request> request;
    Key key;
    bool writes = true;      // the answer may be stored
    bool looked_up = false;  // RAM and disk had nothing: how that ends is counted here
    std::string question = {}, semantic_scope = {};  // of the semantic tier, kept with the entry
    std::string why = {};                            // why the cache had no answer, for the report
    std::shared_ptr<Observation> observation;
  };
  Waiter(SingleFlight& table, Job job, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel);

  void on_event(llm::Event&& event) override;
  /// To the caller's sink, a terminal event as the last.
  void forward(llm::Event event);
  /// Calls leave() when the caller cancels.
  void watch_cancel();
  /// The caller cancelled: ends the stream with Failed(kCancelled) if it is in a flight that has not ended.
  void leave();
  void enter(std::shared_ptr<Flight> flight, bool leads);
  /// How its lookup ended, unless that was said before.
  void end_lookup(Ending ending, std::int64_t tokens = 0, double usd = 0);
  /// A second look into the cache found an entry, which counted a hit.
  void found_after_all() { lookup_ended_ = true; }

  const Job& job() const { return job_; }
  bool cancelled() const { return cancel_.cancelled(); }

 private:
  bool take_shared(llm::Event& event);
  void finish(llm::Done done);
  void finish_shared(llm::Done done);

  SingleFlight& table_;
  const Job job_;
  std::shared_ptr<llm::Sink> sink_;
  const base::CancelToken cancel_;
  bool leads_ = false;
  bool seen_ = false;  // anything was forwarded
  std::atomic<bool> lookup_ended_ = false;
  std::optional<llm::Started> held_;
  std::mutex mutex_;
  std::shared_ptr<Flight> flight_;  // guarded by mutex_; null before, after and when left
  std::unique_ptr<base::CancelCallback> cancel_callback_;
};

/// One inner computation: the inner completer's sink.
class Flight final : public llm::Sink {
 public:
  /// What it asks of the shared tier before it computes.
  enum class Ask { kWait, kDontWait, kNothing };
  Flight(SingleFlight& table, const Waiter::Job& leader, Ask ask) : table_(table), job_(leader), ask_(ask) {}
  void run(const std::shared_ptr<Flight>& self);
  void on_event(llm::Event&& event) override;

 private:
  friend class SingleFlight;
  friend class Waiter;
  void compute(const std::shared_ptr<Flight>& self);
  void go_on(const std::shared_ptr<Flight>& self, Fetched fetched);
  bool end_with(const EntryPtr& found, bool waited);
  void store(const llm::Done& done);

  SingleFlight& table_;
  const Waiter::Job job_;
  const Ask ask_;
  // What the shared tier had; written before the first event, and then read only.
  EntryPtr shared_;
  bool shared_waited_ = false;
  Reservation reservation_;  // taken before it computes
  EventLog log_;
  Recorder recorder_;
  base::CancelToken cancel_inner_;
  base::Nanos started_at_{0};
  Observation seen_;         // of the computation and the store: the leader's report
  bool stores_ = false;      // guarded by the table's mutex, like
  std::size_t waiting_ = 1;  // how many have joined and not left
};

/// The table of flights. Outlives every request. Thread-safe.
class SingleFlight {
 public:
  struct Options {
    std::string model;
    Price price;                          // null: everything is free
    base::UsageCounter* usage = nullptr;  // counts hits and coalesced answers
  };
  SingleFlight(llm::Completer& inner, ResponseCache& cache, const base::Clock& clock, Options options);

  double price(const llm::Request& request, const llm::Usage& usage) const;

  /// Shares the flight of an identical request, or leads one.
  void join(const std::shared_ptr<Waiter>& waiter);
  /// Computes for this waiter only.
  void lead_alone(const std::shared_ptr<Waiter>& waiter);
  /// Gives `entry`, an answer, to the sink. `similarity`: it answers another question.
  struct Hit {
    bool stale = false;
    std::optional<double> similarity = {};
  };
  void replay_hit(const Key& key, const Entry& entry, Hit hit, const llm::Request& request, llm::Sink& sink);
  /// Computes and stores the answer anew for nobody in particular, unless a flight does so already.
  void refresh(Waiter::Job job);

 private:
  friend class Flight;
  friend class Waiter;
  void count_use(const llm::Request& request, std::int64_t tokens);
  bool must_store(const Flight& flight);
  void take_out(const Flight& flight);
  void leave(const std::shared_ptr<Flight>& flight, const Waiter& waiter);

  llm::Completer& inner_;
  ResponseCache& cache_;
  const base::Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  std::unordered_map<Key, std::shared_ptr<Flight>, base::DigestHash> flights_;
};

}  // namespace pmt::response_cache
