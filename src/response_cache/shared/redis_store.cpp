#include "response_cache/shared/redis_store.h"

#include <algorithm>
#include <future>
#include <random>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "response_cache/shared/redis_log.h"
#include "response_cache/shared/redis_scripts.h"
#include "response_cache/shared/redis_sweeper.h"
#include "response_cache/shared/redis_worker.h"
#include "response_cache/shared/shared_value.h"

namespace pmt::response_cache {
namespace {

using redis::Reply;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kAskAgainFirst{10}, kAskAgainMax{100}, kAcksEvery{2};
constexpr std::size_t kJobsMax = 100'000;
constexpr std::chrono::minutes kTellCorruptEvery{1};

struct Counts {
  std::atomic<std::uint64_t> voided{0}, corrupt{0}, leases{0}, taken_over{0}, skipped{0}, sent{0};
};

class RedisStore final : public SharedStore {
 public:
  RedisStore(RedisOptions options, const base::Clock& clock)
      : options_(std::move(options)),
        clock_(clock),
        names_(options_.prefix),
        breaker_([this](const base::Error& why) { went_down(why); }),
        log_(options_, names_, breaker_),
        worker_({.seed = options_.seed, .login = options_.login}, options_.timeout, breaker_),
        sweeper_(options_, names_, log_) {}

  void acquire(const Key& key, AcquireOptions options, std::function<void(Answer)> done) override {
    ++asking_;
    if (quiet_ || !breaker_.is_up() || worker_.jobs_waiting() > kJobsMax) {
      ++counts_.skipped;
      done({});
      --asking_;
      return;
    }
    auto asking = std::make_shared<Asking>();
    asking->key = key;
    asking->options = std::move(options);
    asking->done = [this, done = std::move(done)](Answer answer) {
      done(std::move(answer));
      --asking_;
    };
    asking->token = asking->options.lease ? new_token() : "";
    asking->until = steady_clock::now() + options_.wait_max;
    ask(asking, {});
  }

  /// The epoch's last bits in front, so that a number of another Redis is known for one.
  std::uint64_t position() const override {
    const SharedStamp stamp = log_.stamp();
    return stamp.epoch << kNumberBits | stamp.number;
  }

  void put(const Key& key, std::shared_ptr<const Entry> entry, std::uint64_t since, Lease lease) override {
    const bool too_large = entry->bytes > options_.entry_bytes_max;
    const bool other_redis = since >> kNumberBits != position() >> kNumberBits;
    const auto life = life_of(*entry);
    if (!breaker_.is_up() || too_large || other_redis || life.count() <= 0 ||
        worker_.bytes_waiting() + entry->bytes > options_.waiting_bytes_max) {
      ++counts_.skipped;
      return release(std::move(lease));
    }
    forget(lease);
    const std::size_t bytes = entry->bytes;
    base::User who{.model = entry->meta.model, .tenant = entry->meta.tenant, .key = {}};
    const std::uint64_t number = since & ((std::uint64_t{1} << kNumberBits) - 1);
    const std::uint64_t epoch = log_.stamp().epoch;
    worker_.ask({.make =
                     [this, key, entry = std::move(entry), life, number, epoch, token = lease.token] {
                       return script(scripts::kPut, {names_.value(key), names_.lease(key)},
                                     {shared_bytes(key, {.epoch = epoch, .number = number}, *entry),
                                      std::to_string(life.count()), token});
                     },
                 .done =
                     [this, key, who = std::move(who)](const base::Result<Reply>& reply) {
                       if (!reply || reply->is(Reply::Kind::kError)) {
                         if (reply) complain(*reply);
                         ++counts_.skipped;
                         return;
                       }
                       count(who, &SharedCounts::stores);
                       if (reply->integer == 1) say_replaced(key);
                     },
                 .bytes = bytes});
  }

  void release(Lease lease) override {
    if (lease.token.empty() || !forget(lease)) return;
    worker_.ask(
        {.make = [this,
                  lease] { return script(scripts::kRelease, {names_.lease(lease.key)}, {lease.token}); },
         .done = [](const base::Result<Reply>&) {}});
  }

  InvalidationReport announce(const Filter& filter) override {
    InvalidationReport report;
    const auto told = call([&] {
      return script(scripts::kAnnounce, {names_.state, names_.voids, names_.log, names_.servers},
                    {filter_text(filter), log_.id(), "void"});
    });
    const base::Result<AnnounceReply> heard = told ? read_announce(*told) : told.error();
    // A Redis that has just lost its state counts anew: nobody would listen to such a number.
    if (!heard || heard->epoch != log_.stamp().epoch) {
      log_.keep_pending(filter);
      return report;
    }
    ++counts_.sent;
    report.told = true;
    report.number = heard->number;
    log_.note(filter, report.number);
    for (const std::string& id : heard->alive)
      if (id != log_.id()) report.others.push_back(id);
    if (const auto key = filter.key()) {
      const std::string name = names_.value(*key);
      const auto gone = call([&] { return redis::Command{.words = {"UNLINK", name}, .key = name}; });
      report.removed = gone ? static_cast<std::uint64_t>(gone->integer) : 0;
    } else {
      sweeper_.request();
    }
    return report;
  }

  InvalidationReport await_applied(InvalidationReport report) override {
    report.servers = report.others.size() + 1;
    report.reached = 1;
    if (!report.told) return report;
    const SteadyTime until = steady_clock::now() + options_.reach_max;
    (void)log_.await_position(report.number, until);
    while (report.reached < report.servers && steady_clock::now() < until) {
      const std::string ack = names_.ack(report.number);
      const auto acks = call([&] { return redis::Command{.words = {"SMEMBERS", ack}, .key = ack}; });
      if (!acks) break;
      report.reached = 1;
      for (const Reply& id : acks->items)
        report.reached +=
            static_cast<std::uint64_t>(std::count(report.others.begin(), report.others.end(), id.text));
      if (report.reached < report.servers) std::this_thread::sleep_for(kAcksEvery);
    }
    return report;
  }

  void quiesce() override {
    quiet_ = true;
    worker_.hurry();
    while (asking_ > 0) std::this_thread::sleep_for(milliseconds(1));  // one command's time limit at most
  }

  SharedStats stats() const override {
    SharedStats out;
    for (const auto& [who, counts] : by_owner_.all()) out += counts;
    out.up = breaker_.is_up();
    if (out.up) {
      out.servers = log_.servers();
    } else {
      out.last_error = breaker_.last_error();
    }
    out.voided = counts_.voided;
    out.corrupt = counts_.corrupt;
    out.leases = counts_.leases;
    out.taken_over = counts_.taken_over;
    out.skipped = counts_.skipped;
    out.failures = breaker_.failures();
    out.sent = counts_.sent;
    out.received = log_.received();
    out.pending = log_.pending();
    out.swept = sweeper_.swept();
    return out;
  }
  std::map<base::User, SharedCounts, base::UserLess> stats_by_owner() const override {
    return by_owner_.all();
  }

 private:
  struct Asking {
    Key key;
    AcquireOptions options;
    std::function<void(Answer)> done;
    std::string token;
    SteadyTime until;
    milliseconds again = kAskAgainFirst;
    bool read = true;  // false: what is there was seen, and is of no use
    bool waited = false;
  };
  using AskingPtr = std::shared_ptr<Asking>;

  void count(const base::User& who, std::uint64_t SharedCounts::*what) {
    by_owner_.change(who.view(), [what](SharedCounts& counts) { ++(counts.*what); });
  }
  void count(const AcquireOptions& asking, std::uint64_t SharedCounts::*what) {
    if (asking.counted) count(asking.who, what);
  }

  void ask(const AskingPtr& asking, SteadyTime due) {
    worker_.ask({.make =
                     [this, asking] {
                       return script(scripts::kAcquire,
                                     {names_.value(asking->key), names_.lease(asking->key)},
                                     {asking->token, std::to_string(options_.lease.count()),
                                      asking->options.lease ? "1" : "0", asking->read ? "1" : "0"});
                     },
                 .done = [this, asking](const base::Result<Reply>& reply) { hear(asking, reply); },
                 .due = due});
  }

  void hear(const AskingPtr& asking, const base::Result<Reply>& reply) {
    if (!reply || !reply->is(Reply::Kind::kArray)) {
      if (reply) complain(*reply);
      ++counts_.skipped;
      return asking->done({});
    }
    const std::string& what = reply->at(0).text;
    if (what == "v") return hear_value(asking, *reply);
    if (what == "l") return hear_lease(asking);
    if (what == "w") return hear_taken(asking);
    count(asking->options, &SharedCounts::misses);
    asking->done({});
  }

  void hear_value(const AskingPtr& asking, const Reply& reply) {
    auto entry = usable(*asking, reply.at(1).text, reply.at(2).integer);
    if (entry) {
      count(asking->options, asking->waited ? &SharedCounts::waited : &SharedCounts::hits);
      return asking->done({.entry = std::move(entry), .waited = asking->waited});
    }
    asking->read = false;
    if (asking->options.lease) return ask(asking, {});
    count(asking->options, &SharedCounts::misses);
    asking->done({});
  }

  void hear_lease(const AskingPtr& asking) {
    Lease lease{.key = asking->key, .token = asking->token};
    ++counts_.leases;
    count(asking->options, &SharedCounts::misses);
    if (asking->waited) ++counts_.taken_over;
    {
      const std::lock_guard lock(mutex_);
      held_.insert(lease.token);
    }
    if (quiet_ || (asking->options.given_up && asking->options.given_up())) {
      release(std::move(lease));
      return asking->done({});
    }
    renew_later(lease);
    asking->done({.entry = nullptr, .lease = std::move(lease)});
  }

  void hear_taken(const AskingPtr& asking) {
    if (!asking->options.wait) return asking->done({.entry = nullptr, .busy = true});
    const auto now = steady_clock::now();
    if (now >= asking->until) count(asking->options, &SharedCounts::wait_limits);
    if (quiet_ || now >= asking->until || (asking->options.given_up && asking->options.given_up())) {
      count(asking->options, &SharedCounts::misses);
      return asking->done({});
    }
    asking->waited = true;
    asking->read = true;
    const auto again = std::exchange(asking->again, std::min(asking->again * 2, kAskAgainMax));
    ask(asking, now + again);
  }

  /// Null if it is not to be used: foreign, void, or older than was asked for.
  std::shared_ptr<OutsideEntry> usable(const Asking& asking, const std::string& bytes, std::int64_t ms_left) {
    const auto value = read_shared(asking.key, bytes);
    auto entry = value ? read_record(asking.key, value->record) : std::nullopt;
    if (!entry) {
      ++counts_.corrupt;
      tell_corrupt(asking.key);
      return nullptr;
    }
    if (log_.covers(asking.key, entry->meta, value->stamp)) {
      ++counts_.voided;
      return nullptr;
    }
    // Two servers' clocks differ: what Redis says is left of its life bounds what is left here.
    const std::int64_t now = clock_.unix_seconds();
    if (entry->meta.ttl_s && ms_left >= 0) {
      const double age_s = *entry->meta.ttl_s + entry->meta.stale_s - static_cast<double>(ms_left) / 1e3;
      entry->stored_unix_s = std::min(entry->stored_unix_s, now - static_cast<std::int64_t>(age_s));
    }
    const double age_s = static_cast<double>(now - entry->stored_unix_s);
    if (asking.options.max_age_s && age_s > *asking.options.max_age_s) return nullptr;
    if (entry->meta.ttl_s && age_s >= *entry->meta.ttl_s)
      return nullptr;  // stale: whoever has it in RAM may give it
    return std::make_shared<OutsideEntry>(std::move(*entry));
  }

  milliseconds life_of(const Entry& entry) const {
    double life_s = options_.ttl_s_max;
    if (entry.meta.ttl_s) {
      const double age_s = base::ms_between(entry.stored_at, clock_.now()) / 1e3;
      life_s = std::min(life_s, *entry.meta.ttl_s + entry.meta.stale_s - age_s);
    }
    return milliseconds(static_cast<std::int64_t>(life_s * 1e3));
  }

  void renew_later(const Lease& lease) {
    worker_.ask(
        {.make =
             [this, lease] {
               return script(scripts::kRenew, {names_.lease(lease.key)},
                             {is_held(lease) ? lease.token : "", std::to_string(options_.lease.count())});
             },
         .done =
             [this, lease](const base::Result<Reply>& reply) {
               if (!is_held(lease)) return;
               if (reply && reply->integer == 1 && !quiet_) return renew_later(lease);
               forget(lease);  // another has it, or nobody knows: the computation goes on all the same
             },
         .due = steady_clock::now() + options_.lease / 3});
  }

  bool is_held(const Lease& lease) const {
    const std::lock_guard lock(mutex_);
    return held_.contains(lease.token);
  }
  bool forget(const Lease& lease) {
    const std::lock_guard lock(mutex_);
    return held_.erase(lease.token) > 0;
  }

  /// The other servers' RAM may hold what was there before.
  void say_replaced(const Key& key) {
    worker_.ask({.make =
                     [this, key] {
                       return script(scripts::kAnnounce,
                                     {names_.state, names_.voids, names_.log, names_.servers},
                                     {filter_text(Filter::of_key(key)), log_.id(), "replaced"});
                     },
                 .done = [](const base::Result<Reply>&) {}});
  }

  /// Asks and waits: for threads that may. An error reply is an error here.
  base::Result<Reply> call(const std::function<redis::Command()>& make) {
    auto promise = std::make_shared<std::promise<base::Result<Reply>>>();
    auto future = promise->get_future();
    worker_.ask(
        {.make = make, .done = [promise](const base::Result<Reply>& reply) { promise->set_value(reply); }});
    auto reply = future.get();
    if (reply && reply->is(Reply::Kind::kError)) {
      complain(*reply);
      return base::Error{base::Code::kUnavailable, reply->text};
    }
    return reply;
  }

  std::string new_token() {
    const std::lock_guard lock(mutex_);
    return fmt::format("{}:{}", log_.id(), ++tokens_);
  }

  void went_down(const base::Error& why) {
    options_.on_warning(
        fmt::format("response cache: {}. Answers are not shared with other servers until it is back; "
                    "tried again every {} ms",
                    why.message, options_.retry.count()));
  }

  /// Redis is there but refuses (out of memory, not allowed): told once a minute.
  void complain(const Reply& reply) { tell("Redis refused a command: " + reply.text); }
  void tell_corrupt(const Key& key) {
    tell(fmt::format("the value under {} in Redis is damaged or not this server's; it counts as absent",
                     names_.value(key)));
  }
  void tell(const std::string& what) {
    const auto now = steady_clock::now();
    {
      const std::lock_guard lock(mutex_);
      if (told_at_ != SteadyTime() && now - told_at_ < kTellCorruptEvery) return;
      told_at_ = now;
    }
    options_.on_warning("response cache: " + what);
  }

  const RedisOptions options_;
  const base::Clock& clock_;
  const RedisNames names_;
  Counts counts_;
  base::ByUser<SharedCounts> by_owner_;
  std::atomic<bool> quiet_{false};
  std::atomic<int> asking_{0};
  mutable std::mutex mutex_;
  std::unordered_set<std::string> held_;  // tokens of leases
  std::uint64_t tokens_ = 0;
  SteadyTime told_at_{};
  Breaker breaker_;
  RedisLog log_;
  RedisWorker worker_;  // ends first: what it asks last needs the log
  RedisSweeper sweeper_;
};

}  // namespace

std::unique_ptr<SharedStore> open_redis(RedisOptions options, const base::Clock& clock) {
  return std::make_unique<RedisStore>(std::move(options), clock);
}

}  // namespace pmt::response_cache
