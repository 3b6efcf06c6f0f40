#include "response_cache/shared/redis_log.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <random>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/guard.h"
#include "response_cache/shared/redis_scripts.h"

namespace pmt::response_cache {
namespace {

using redis::Reply;
using std::chrono::milliseconds;

constexpr milliseconds kBlock{300};  // a read of the log that finds nothing returns after this
constexpr milliseconds kJoinEvery{1000};
constexpr milliseconds kLife{5000};    // a server that has not joined for so long counts as gone
constexpr std::size_t kOwnMax = 1000;  // of its own invalidations that a server says again to a new Redis
constexpr int kForgottenAtOnce = 1000;
constexpr std::size_t kFoldedAtOnce = 1000;  // filters and their values, so an even number

std::uint64_t random_number() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U | device()) | 1U;
}

std::uint64_t number_of(const std::string& text, int base = 10) {
  std::uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out, base);
  return out;
}

base::Status check(const Reply& reply) {
  if (reply.is(Reply::Kind::kError)) return base::Error{base::Code::kUnavailable, "Redis: " + reply.text};
  return {};
}

}  // namespace

redis::Command script(const char* text, std::vector<std::string> keys, std::vector<std::string> args) {
  redis::Command out{.words = {"EVAL", text, std::to_string(keys.size())}, .key = keys.front()};
  for (auto* words : {&keys, &args})
    for (std::string& word : *words) out.words.push_back(std::move(word));
  return out;
}

RedisLog::RedisLog(const RedisOptions& options, const RedisNames& names, Breaker& breaker)
    : options_(options),
      names_(names),
      breaker_(breaker),
      id_(fmt::format("{:016x}", random_number())),
      link_({.seed = options.seed, .login = options.login}) {
  read_state();
  thread_ = std::thread([this] { base::keep_running({base::Thread::kRedis}, [this] { follow(); }); });
}

RedisLog::~RedisLog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  moved_.notify_all();
  thread_.join();
}

base::Result<Reply> RedisLog::call(redis::Command command, milliseconds more) {
  TRY_ASSIGN(Reply reply,
             link_.call(std::move(command), std::chrono::steady_clock::now() + options_.timeout + more));
  TRY(check(reply));
  return reply;
}

void RedisLog::follow() {
  block_sigpipe();
  const auto stopped = [this] {
    const std::lock_guard lock(mutex_);
    return stop_;
  };
  while (!stopped()) {
    link_.close();
    base::Status went;
    const auto step = [&](auto&& fn) {
      went = base::guarded({base::Thread::kRedis}, [&]() -> base::Status { return fn(); });
    };
    step([this] { return catch_up(); });
    if (went) breaker_.set_up();
    while (went && !stopped() && breaker_.is_up()) step([this] { return follow_on(); });
    if (!went) breaker_.set_down(went.error());
    std::unique_lock lock(mutex_);
    if (!breaker_.is_up()) moved_.wait_for(lock, options_.retry, [this] { return stop_; });
  }
  if (breaker_.is_up()) (void)call({.words = {"ZREM", names_.servers, id_}, .key = names_.servers});
}

base::Status RedisLog::follow_on() {
  TRY(read_log(true));
  if (std::chrono::steady_clock::now() < next_join_) return {};
  TRY_ASSIGN(const JoinReply joined, join());
  if (joined.epoch != epoch_)
    return base::Error{base::Code::kCorrupt, "Redis lost its state"};  // catch up with the new one
  return joined.filters > options_.filters_max ? fold() : base::Status();
}

base::Status RedisLog::catch_up() {
  const auto until = std::chrono::steady_clock::now() + options_.timeout;
  TRY_ASSIGN(const auto pongs, link_.call_each({.words = {"PING"}}, until));
  for (const Reply& pong : pongs) TRY(check(pong));
  TRY_ASSIGN(const JoinReply joined, join());
  const bool same = known_ && joined.epoch == epoch_;
  if (!same) {
    table_.clear();
    {
      const std::lock_guard lock(mutex_);
      epoch_ = joined.epoch;
      position_ = joined.number;
    }
    last_id_ = joined.last_id;
    unsure_ = true;
    must_say_own_ = must_say_own_ || known_;
    known_ = true;
  }
  const std::uint64_t since = unsure_ ? 0 : position_.load();
  TRY(read_table());
  if (same) {
    if (position_ < joined.forgotten) lose_track(joined.number);
    while (true) {
      TRY_ASSIGN(const std::size_t records, read_log(false));
      if (records == 0) break;
    }
    if (position_ < joined.number) lose_track(joined.number);  // the log was cut shorter than what was missed
  }
  // A first meeting, or a Redis that lost what it knew: what its table says is void is so here too.
  if (table_.last() > since) {
    const SharedStamp stamp{.epoch = epoch_, .number = since};
    options_.drop_if([&](const Key& key, const StoreOptions& meta) { return covers(key, meta, stamp); });
  }
  unsure_ = false;
  TRY(say_own());
  write_state();
  return {};
}

/// Says that this server is alive, and hears where the log stands.
base::Result<JoinReply> RedisLog::join() {
  next_join_ = std::chrono::steady_clock::now() + kJoinEvery;
  TRY_ASSIGN(const Reply reply,
             call(script(scripts::kJoin, {names_.state, names_.log, names_.servers, names_.voids},
                         {fmt::format("{:016x}", random_number()), id_, std::to_string(kLife.count())})));
  auto joined = read_join(reply);
  if (joined) servers_ = joined->servers;
  return joined;
}

base::Result<std::vector<RedisLog::StoredRow>> RedisLog::stored_rows() {
  TRY_ASSIGN(const Reply all, call({.words = {"HGETALL", names_.voids}, .key = names_.voids}));
  std::vector<StoredRow> out;
  for (std::size_t i = 0; i + 1 < all.items.size(); i += 2) {
    const std::string &name = all.items[i].text, &used = all.items[i + 1].text;
    TRY_ASSIGN(TableRow row, read_table_row(name, used));
    out.push_back({name, used, std::move(row)});
  }
  return out;
}

base::Status RedisLog::read_table() {
  TRY_ASSIGN(const auto rows, stored_rows());
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  int forgotten = 0;
  for (const auto& [name, used, row] : rows) {
    table_.add(row.filter, row.number);
    // No value can be older than its life: what was void before that matters to nobody.
    if (now - row.used_unix_s < options_.ttl_s_max + 3600 || ++forgotten > kForgottenAtOnce) continue;
    TRY(call(
        script(scripts::kForget, {names_.state, names_.voids}, {name, used, std::to_string(row.number)})));
  }
  return {};
}

/// Too many different filters: those of the tenant that used most become one, which covers all that is that
/// tenant's (of those that name no tenant: everything). One server at a time does it.
base::Status RedisLog::fold() {
  const redis::Command alone{.words = {"SET", names_.folding, id_, "NX", "PX", "60000"},
                             .key = names_.folding};
  TRY_ASSIGN(const Reply mine, call(alone));
  if (mine.text != "OK") return {};
  TRY_ASSIGN(const auto all, stored_rows());
  std::map<std::optional<std::string>, std::vector<std::string>> by_tenant;
  for (const auto& [name, used, row] : all) {
    auto& rows = by_tenant[row.filter.tenant];
    rows.insert(rows.end(), {name, used});
  }
  const auto most = std::max_element(by_tenant.begin(), by_tenant.end(), [](const auto& a, const auto& b) {
    return a.second.size() < b.second.size();
  });
  if (most == by_tenant.end()) return {};
  const Filter wide{.tenant = most->first};
  TRY(announce(wide));  // the others drop what it covers when they read it in the log
  options_.drop(wide);
  const std::vector<std::string>& rows = most->second;
  for (std::size_t i = 0; i < rows.size(); i += kFoldedAtOnce) {
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(i);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kFoldedAtOnce, rows.size() - i));
    TRY(call(script(scripts::kFold, {names_.voids}, {first, first + count})));
  }
  options_.on_warning(
      fmt::format("response cache: {} different purges of {} became one of all that is theirs: their shared "
                  "entries are computed again",
                  rows.size() / 2, most->first ? "tenant '" + *most->first + "'" : "the operators"));
  return {};
}

/// What could not be told while Redis was away; and all of its own, to a Redis that has lost it.
base::Status RedisLog::say_own() {
  std::vector<Filter> say;
  {
    const std::lock_guard lock(mutex_);
    if (must_say_own_) say = own_;
    say.insert(say.end(), pending_.begin(), pending_.end());
    pending_.clear();
  }
  for (std::size_t said = 0; said < say.size(); ++said) {
    const base::Status went = announce(say[said]);
    if (went) continue;
    for (; said < say.size(); ++said) keep_pending(say[said]);
    return went;
  }
  must_say_own_ = false;
  return {};
}

base::Status RedisLog::announce(const Filter& filter) {
  TRY_ASSIGN(const Reply reply,
             call(script(scripts::kAnnounce, {names_.state, names_.voids, names_.log, names_.servers},
                         {filter_text(filter), id_, "void"})));
  TRY_ASSIGN(const AnnounceReply told, read_announce(reply));
  table_.add(filter, told.number);
  return {};
}

/// Returns how many records came. Blocks for kBlock at most.
base::Result<std::size_t> RedisLog::read_log(bool block) {
  redis::Command command{.words = {"XREAD", "COUNT", "500"}, .key = names_.log};
  if (block) command.words.insert(command.words.end(), {"BLOCK", std::to_string(kBlock.count())});
  command.words.insert(command.words.end(), {"STREAMS", names_.log, last_id_});
  TRY_ASSIGN(const Reply reply, call(std::move(command), block ? kBlock : milliseconds(0)));
  const Reply& records = reply.at(0).at(1);
  for (const Reply& record : records.items) TRY(apply(record));
  if (!records.items.empty()) write_state();
  return records.items.size();
}

base::Status RedisLog::apply(const Reply& reply) {
  TRY_ASSIGN(const LogRecord record, read_log_record(reply));
  last_id_ = record.id;
  if (record.number <= position_) return {};
  if (record.number != position_ + 1) lose_track(record.number - 1);
  if (record.voids) table_.add(record.filter, record.number);
  if (record.who != id_) {
    options_.drop(record.filter);
    ++received_;
  }
  set_position(record.number);
  if (!record.voids || record.who == id_) return {};
  const std::string ack = names_.ack(record.number);
  const auto until = std::chrono::steady_clock::now() + options_.timeout;
  TRY(link_.call(
      {{.words = {"SADD", ack, id_}, .key = ack}, {.words = {"PEXPIRE", ack, "60000"}, .key = ack}}, until));
  return {};
}

/// Some records were missed for good: nothing that this process holds can be trusted.
void RedisLog::lose_track(std::uint64_t number) {
  options_.on_warning(
      "response cache: missed some of the other servers' invalidations, so all entries here were dropped");
  options_.drop({});
  set_position(std::max<std::uint64_t>(position_, number));
}

void RedisLog::note(const Filter& filter, std::uint64_t number) {
  table_.add(filter, number);
  const std::lock_guard lock(mutex_);
  own_.push_back(filter);
  if (own_.size() > kOwnMax) own_ = coarser(own_);
}

void RedisLog::keep_pending(const Filter& filter) {
  const std::lock_guard lock(mutex_);
  if (std::find(pending_.begin(), pending_.end(), filter) != pending_.end()) return;
  pending_.push_back(filter);
  if (pending_.size() > kOwnMax) pending_ = coarser(pending_);
}

std::size_t RedisLog::pending() const {
  const std::lock_guard lock(mutex_);
  return pending_.size();
}

void RedisLog::set_position(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    position_ = number;
  }
  moved_.notify_all();
}

bool RedisLog::await_position(std::uint64_t number, SteadyTime until) const {
  std::unique_lock lock(mutex_);
  return moved_.wait_until(lock, until, [&] { return position_ >= number || stop_; });
}

void RedisLog::read_state() {
  if (options_.state_file.empty()) return;
  const auto state = base::read_file(options_.state_file);
  std::istringstream in(state ? *state : "");
  std::string epoch, number;
  if (!(in >> epoch >> number >> last_id_)) return;
  epoch_ = number_of(epoch, 16);
  position_ = number_of(number);
  known_ = epoch_ != 0;
}

/// A failure costs only that a restart drops more than it must.
void RedisLog::write_state() const {
  if (options_.state_file.empty() || !options_.settle()) return;
  (void)base::replace_file(options_.state_file,
                           fmt::format("{:016x} {} {}\n", epoch_.load(), position_.load(), last_id_));
}

}  // namespace pmt::response_cache
