#include "response_cache/response_cache.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <limits>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "response_cache/disk/disk_store.h"
#include "response_cache/shared/shared_store.h"
#include "response_cache/store/brief_mutex.h"
#include "response_cache/store/deep_size.h"
#include "response_cache/store/key_table.h"
#include "response_cache/store/node_pool.h"

namespace pmt::response_cache {
namespace {

using EntryPtr = std::shared_ptr<const Entry>;

constexpr base::Nanos kNever = base::Nanos::max();
// Below these a shard would be so small that its own LRU order says little about the whole cache's.
constexpr std::size_t kShardsMax = 64;
constexpr std::size_t kEntriesPerShardMin = 64;
constexpr std::size_t kBytesPerShardMin = 64 << 10;

/// What the limits leave: one for all shards, so that a large value fits wherever its key falls. Entries are
/// counted in before they are linked and out after they are unlinked, so what is held never exceeds the
/// limits.
class Room {
 public:
  explicit Room(Limits limits) : limits_(limits) {}

  bool take(std::size_t entries, std::size_t bytes) {
    if (!add(entries_, entries, limits_.entries_max)) return false;
    if (add(bytes_, bytes, limits_.bytes_max)) return true;
    entries_ -= entries;
    return false;
  }
  void give_back(std::size_t entries, std::size_t bytes) {
    entries_ -= entries;
    bytes_ -= bytes;
  }
  std::size_t entries() const { return entries_; }
  std::size_t bytes() const { return bytes_; }
  const Limits& limits() const { return limits_; }

 private:
  static bool add(std::atomic<std::size_t>& sum, std::size_t n, std::size_t max) {
    std::size_t now = sum.load();
    while (n <= max && now <= max - n) {
      if (sum.compare_exchange_weak(now, now + n)) return true;
    }
    return n == 0;
  }
  const Limits limits_;
  std::atomic<std::size_t> entries_{0};
  std::atomic<std::size_t> bytes_{0};
};

/// An entry's place in its shard. All that a hit needs lies here, in two cache lines, the count of its
/// readers included (allocate_shared puts it in front): the entry itself is read by whoever uses it. Nothing
/// that a reader sees is changed: another value under the same key is another node.
struct Node : Evictable {
  EntryPtr entry;
  base::Nanos expires_at = kNever;
  std::int64_t tokens = 0;
  double usd = 0;
};
static_assert(sizeof(Node) + kSharedPtrBytes == node_pool::kBlockBytes);
using NodePtr = KeyTable<Node>::Pointer;

/// The entry, for as long as its node is held: reading takes one count, the node's.
EntryPtr entry_in(const NodePtr& node) {
  return {node, node->entry.get()};
}

/// One lock, one table, one policy. Every member needs the lock. What a hit writes lies in the lock's own
/// cache line: two cores that hit take as few lines as possible from one another.
struct alignas(64) Shard {
  mutable BriefMutex mutex;
  struct Hits {
    std::uint64_t count = 0;
    std::int64_t tokens_saved = 0;
    double usd_saved = 0;
    void save(std::int64_t tokens, double usd) {
      tokens_saved += tokens;
      usd_saved += usd;
    }
  } hits;
  KeyTable<Node> nodes;
  std::unique_ptr<EvictionPolicy> policy;
  Stats counted;  // all but the hits and what was saved

  Node* pick(const Node* spared) { return static_cast<Node*>(policy->pick(spared)); }
  /// Returns the node, so that the caller can free it after the lock.
  NodePtr remove(Node& node, Room& room) {
    room.give_back(1, node.bytes);
    policy->remove(node);
    return nodes.erase(node);
  }
};

std::size_t shards_for(const Limits& limits) {
  const std::size_t wanted =
      std::min(limits.entries_max / kEntriesPerShardMin, limits.bytes_max / kBytesPerShardMin);
  return std::bit_floor(std::clamp<std::size_t>(wanted, 1, kShardsMax));
}

/// Saturates: a lifetime of 10^30 s is "never".
base::Nanos expiry(base::Nanos now, std::optional<double> ttl_s) {
  if (!ttl_s) return kNever;
  if (!(*ttl_s > 0)) return now;
  const double ns = *ttl_s * 1e9;
  const auto left = static_cast<double>((kNever - now).count());
  return ns >= left / 2 ? kNever : now + base::Nanos(static_cast<std::int64_t>(ns));
}

double seconds_between(base::Nanos from, base::Nanos to) {
  return std::chrono::duration<double>(to - from).count();
}

/// What computing the value again would cost, in dollars. A token that has no price counts a little, so that
/// of unpriced entries the longer computation stays.
float worth_of(const StoreOptions& meta, const Limits& limits) {
  constexpr double kUnpricedToken = 1e-7, kAtLeast = 1e-9;
  const double usd = meta.usd > 0 ? meta.usd : static_cast<double>(meta.tokens) * kUnpricedToken;
  return static_cast<float>(usd + meta.compute_s * limits.usd_per_second + kAtLeast);
}

}  // namespace

struct ResponseCache::Impl {
  Impl(Limits limits, const base::Clock& the_clock)
      : clock(the_clock), room(limits), shard_count(shards_for(limits)), shards(new Shard[shard_count]) {
    for (std::size_t i = 0; i < shard_count; ++i) shards[i].policy = make_policy(limits.eviction);
  }

  Shard& shard(const Key& key) { return shards[key.bytes[0] & (shard_count - 1)]; }
  Found find(const Key& key, const Freshness& freshness, bool after_miss);
  bool try_put(Shard& shard, const Key& key, const EntryPtr& entry, base::Nanos expires_at,
               std::vector<NodePtr>& removed);
  void evict_elsewhere(const Shard& full);
  struct Fill {  // of RAM with what was read elsewhere
    std::uint64_t since = 0, changes = 0;
  };
  Fill before_fill(const Key& key) { return {voids.last(), changes_of(key)}; }
  std::atomic<std::uint64_t>& changes_of(const Key& key) {
    return changes[(std::size_t{key.bytes[1]} << 8U | key.bytes[2]) % changes.size()];
  }
  base::Result<bool> put(const Key& key, const EntryPtr& entry, std::uint64_t since, const Fill* fill);
  /// `between`: after the disk's part.
  std::size_t drop(const std::function<bool(const Key&, const StoreOptions&)>& matches,
                   const std::function<void()>& between);
  EntryPtr entry_of(OutsideEntry outside) const;
  void bring_from_disk(const Key& key);

  const base::Clock& clock;
  Room room;
  const std::size_t shard_count;
  const std::unique_ptr<Shard[]> shards;
  std::atomic<std::size_t> next_victim{0};
  std::unique_ptr<DiskStore> disk;
  // What was purged, by this process's own numbers.
  InvalidationTable voids;
  std::atomic<std::uint64_t> purges{0};
  // Of a part of the keys each, moved on with every store in the shard's lock: what was read from the disk
  // before does not replace what is newer.
  std::array<std::atomic<std::uint64_t>, 1024> changes{};
  std::unique_ptr<SharedStore> shared;  // the last: its threads use all the others
};

ResponseCache::ResponseCache(Limits limits, const base::Clock& clock)
    : impl_(std::make_unique<Impl>(limits, clock)) {}
ResponseCache::~ResponseCache() = default;

Found ResponseCache::Impl::find(const Key& key, const Freshness& freshness, bool after_miss) {
  Shard& home = shard(key);
  NodePtr expired;  // freed after the lock
  const std::lock_guard lock(home.mutex);
  const auto miss = [&](Miss why) -> Found {
    home.counted.misses += after_miss ? 0 : 1;
    return {.entry = nullptr, .why = why};
  };
  const NodePtr* const found = home.nodes.find(key);
  if (found == nullptr) return miss(Miss::kAbsent);
  Node& node = **found;
  bool stale = false;
  if (node.expires_at != kNever || freshness.max_age_s) {
    const base::Nanos now = clock.now();
    const double over_life = node.expires_at == kNever ? 0 : seconds_between(node.expires_at, now);
    if (now >= node.expires_at) {
      stale = true;
      if (over_life > node.entry->meta.stale_s || node.entry->meta.stale_s <= 0) {
        expired = home.remove(node, room);
        if (disk) disk->erase(key);
        ++home.counted.expired;
        return miss(Miss::kExpired);
      }
      if (over_life > freshness.stale_s || freshness.stale_s <= 0) return miss(Miss::kExpired);
    }
    if (freshness.max_age_s) {
      const double over_age = seconds_between(node.entry->stored_at, now) - *freshness.max_age_s;
      stale = stale || over_age > 0;
      if (over_age > 0 && over_age > freshness.stale_s) return miss(Miss::kTooOld);
    }
  }
  home.policy->touch(node);
  ++home.hits.count;
  home.hits.save(node.tokens, node.usd);
  if (stale) ++home.counted.stale;
  if (after_miss) --home.counted.misses;
  return {.entry = entry_in(*found), .stale = stale};
}

/// Into RAM, unless it is there by now or was changed while it was read.
void ResponseCache::Impl::bring_from_disk(const Key& key) {
  const Fill before = before_fill(key);
  auto outside = disk->get(key);
  if (!outside) return;
  const EntryPtr entry = entry_of(std::move(*outside));
  const double left = seconds_between(clock.now(), expiry(entry->stored_at, entry->meta.ttl_s));
  if (left + entry->meta.stale_s <= 0) return disk->erase(key);
  (void)put(key, entry, before.since, &before);
}

Found ResponseCache::find(const Key& key, const Freshness& freshness) {
  Found found = impl_->find(key, freshness, false);
  if (found || found.why != Miss::kAbsent || !impl_->disk) return found;
  impl_->bring_from_disk(key);
  return impl_->find(key, freshness, true);
}

EntryPtr ResponseCache::get_after_miss(const Key& key, std::optional<double> max_age_s) {
  return impl_->find(key, {.max_age_s = max_age_s}, true).entry;
}

std::shared_ptr<const Entry> ResponseCache::peek(const Key& key) const {
  {
    const Shard& home = impl_->shard(key);
    const std::lock_guard lock(home.mutex);
    if (const NodePtr* const found = home.nodes.find(key)) {
      return (*found)->expires_at > impl_->clock.now() ? entry_in(*found) : nullptr;
    }
  }
  if (!impl_->disk) return nullptr;
  auto outside = impl_->disk->get(key);
  if (!outside) return nullptr;
  EntryPtr entry = impl_->entry_of(std::move(*outside));
  return expiry(entry->stored_at, entry->meta.ttl_s) > impl_->clock.now() ? entry : nullptr;
}

/// Links `entry` if this shard alone can make room for it. Needs shard.mutex.
bool ResponseCache::Impl::try_put(Shard& home, const Key& key, const EntryPtr& entry, base::Nanos expires_at,
                                  std::vector<NodePtr>& removed) {
  const NodePtr* const found = home.nodes.find(key);
  Node* const replaced = found != nullptr ? found->get() : nullptr;
  const std::size_t held = replaced != nullptr ? replaced->bytes : 0;
  const std::size_t more = entry->bytes > held ? entry->bytes - held : 0;
  while (!room.take(replaced != nullptr ? 0 : 1, more)) {
    Node* const victim = home.pick(replaced);
    if (victim == nullptr) return false;
    removed.push_back(home.remove(*victim, room));
    ++home.counted.evictions;
  }
  if (held > entry->bytes) room.give_back(0, held - entry->bytes);
  auto node = std::allocate_shared<Node>(NodeAllocator<Node>());
  node->key = key;
  node->entry = entry;
  node->expires_at = expires_at;
  node->bytes = entry->bytes;
  node->tokens = entry->meta.tokens;
  node->usd = entry->meta.usd;
  node->worth = worth_of(entry->meta, room.limits());
  if (replaced != nullptr) {
    home.policy->remove(*replaced);
    node->follow(*replaced);
    removed.push_back(home.nodes.erase(*replaced));
  }
  home.policy->add(*node);
  if (replaced != nullptr) home.policy->touch(*node);
  home.nodes.insert(std::move(node));
  return true;
}

/// Evicts one entry of another shard: `full` has nothing left to give.
void ResponseCache::Impl::evict_elsewhere(const Shard& full) {
  for (std::size_t i = 0; i < shard_count; ++i) {
    Shard& shard = shards[next_victim++ & (shard_count - 1)];
    if (&shard == &full) continue;
    NodePtr victim;
    const std::lock_guard lock(shard.mutex);
    Node* const node = shard.pick(nullptr);
    if (node == nullptr) continue;
    victim = shard.remove(*node, room);
    ++shard.counted.evictions;
    return;
  }
  std::this_thread::yield();  // another store holds the room for a moment and is about to link its entry
}

/// False if it was purged since `since`. `fill`: only if the key was not stored since then, and is absent.
base::Result<bool> ResponseCache::Impl::put(const Key& key, const EntryPtr& entry, std::uint64_t since,
                                            const Fill* fill) {
  Shard& home = shard(key);
  const Limits& limits = room.limits();
  if (entry->bytes > limits.bytes_max || limits.entries_max == 0) {
    const std::lock_guard lock(home.mutex);
    home.counted.refused += fill != nullptr ? 0 : 1;
    return base::Error{base::Code::kTooLarge,
                       fmt::format("a value of {} bytes does not fit the response cache's "
                                   "limits of {} bytes and {} entries",
                                   entry->bytes, limits.bytes_max, limits.entries_max)};
  }
  const base::Nanos expires_at = expiry(entry->stored_at, entry->meta.ttl_s);
  std::vector<NodePtr> removed;  // freed after the lock
  while (true) {
    {
      const std::lock_guard lock(home.mutex);
      if (voids.covers(key, entry->meta, since)) {
        home.counted.refused += fill != nullptr ? 0 : 1;
        return false;
      }
      if (fill != nullptr && (changes_of(key) != fill->changes || home.nodes.find(key) != nullptr))
        return false;
      if (try_put(home, key, entry, expires_at, removed)) {
        home.counted.stores += fill != nullptr ? 0 : 1;
        if (fill != nullptr) return true;
        ++changes_of(key);
        if (disk) disk->put(key, entry);
        return true;
      }
    }
    evict_elsewhere(home);
  }
}

EntryPtr ResponseCache::Impl::entry_of(OutsideEntry outside) const {
  auto entry = std::make_shared<Entry>();
  entry->value = std::move(outside.value);
  entry->meta = std::move(outside.meta);
  const std::int64_t age_s = std::max<std::int64_t>(0, clock.unix_seconds() - outside.stored_unix_s);
  entry->stored_at = clock.now() - std::chrono::seconds(std::min<std::int64_t>(age_s, 1'000'000'000));
  entry->stored_unix_s = outside.stored_unix_s;
  entry->bytes = entry_bytes(*entry);
  return entry;
}

base::Result<bool> ResponseCache::store(const Key& key, Value value, StoreOptions options) {
  return store(key, std::move(value), std::move(options), moment(), {});
}

base::Result<bool> ResponseCache::store(const Key& key, Value value, StoreOptions options,
                                        const Moment& since, Lease lease) {
  SharedStore* const shared = impl_->shared.get();
  if (!options.reusable) {
    if (shared != nullptr) shared->release(std::move(lease));
    Shard& home = impl_->shard(key);
    const std::lock_guard lock(home.mutex);
    ++home.counted.refused;
    return false;
  }
  auto entry = std::make_shared<Entry>();
  entry->value = std::move(value);
  entry->meta = std::move(options);
  entry->stored_at = impl_->clock.now();
  entry->stored_unix_s = impl_->clock.unix_seconds();
  entry->bytes = entry_bytes(*entry);
  const auto kept = impl_->put(key, entry, since.local, nullptr);
  if (shared == nullptr) return kept;
  if (kept && *kept) {
    shared->put(key, entry, since.shared, std::move(lease));
  } else {
    shared->release(std::move(lease));
  }
  return kept;
}

base::Result<bool> ResponseCache::restore(OutsideEntry outside) {
  const Key key = outside.key;
  const EntryPtr entry = impl_->entry_of(std::move(outside));
  if (impl_->clock.now() >= expiry(entry->stored_at, entry->meta.ttl_s)) return false;
  const Moment since = moment();
  TRY_ASSIGN(const bool kept, impl_->put(key, entry, since.local, nullptr));
  if (kept && impl_->shared) impl_->shared->put(key, entry, since.shared, {});
  return kept;
}

Moment ResponseCache::moment() const {
  return {.local = impl_->voids.last(), .shared = impl_->shared ? impl_->shared->position() : 0};
}

void ResponseCache::keep_on(std::unique_ptr<DiskStore> disk) {
  impl_->disk = std::move(disk);
}

DiskStore* ResponseCache::disk() const {
  return impl_->disk.get();
}

void ResponseCache::share_on(std::unique_ptr<SharedStore> shared) {
  impl_->shared = std::move(shared);
}

SharedStore* ResponseCache::shared() const {
  return impl_->shared.get();
}

EntryPtr ResponseCache::take_shared(OutsideEntry outside, const Moment& since, bool waited) {
  const Key key = outside.key;
  const EntryPtr entry = impl_->entry_of(std::move(outside));
  const Impl::Fill fill{.since = since.local, .changes = impl_->changes_of(key)};
  (void)impl_->put(key, entry, since.local, &fill);
  count_shared(*entry, waited);
  return entry;
}

void ResponseCache::count_shared(const Entry& entry, bool waited) {
  if (waited) return count_coalesced(entry.meta.tokens, entry.meta.usd);
  Shard& any = impl_->shards[0];
  const std::lock_guard lock(any.mutex);
  ++any.hits.count;
  --any.counted.misses;  // a sum over the shards: one of them may be below 0
  any.hits.save(entry.meta.tokens, entry.meta.usd);
}

void ResponseCache::find_everywhere(const Key& key, std::function<void(EntryPtr)> done) {
  Found found = find(key, {});
  if (found || !impl_->shared) return done(std::move(found.entry));
  impl_->shared->acquire(key, {.lease = false, .wait = false},
                         [this, since = moment(), done = std::move(done)](SharedStore::Answer answer) {
                           done(answer.entry ? take_shared(std::move(*answer.entry), since, false) : nullptr);
                         });
}

bool ResponseCache::erase(const Key& key) {
  Shard& home = impl_->shard(key);
  const bool on_disk = impl_->disk && impl_->disk->get(key).has_value();
  NodePtr removed;
  const std::lock_guard lock(home.mutex);
  impl_->voids.add(Filter::of_key(key), ++impl_->purges);
  if (impl_->disk) impl_->disk->erase(key);
  const NodePtr* const found = home.nodes.find(key);
  if (found != nullptr) removed = home.remove(**found, impl_->room);
  if (found == nullptr && !on_disk) return false;
  ++home.counted.purged;
  return true;
}

/// The number moves on before anything is removed, for what is just being computed, and again after the
/// disk's part, for what was read from there meanwhile.
std::size_t ResponseCache::purge(const Filter& filter) {
  const Filter only_key{.key_prefix = filter.key_prefix};
  if (const auto key = filter.key(); key && filter == only_key) return erase(*key) ? 1 : 0;
  const Matcher matches(filter);
  impl_->voids.add(filter, ++impl_->purges);
  return impl_->drop([&](const Key& key, const StoreOptions& meta) { return matches(key, meta); },
                     [&] { impl_->voids.add(filter, ++impl_->purges); });
}

std::size_t ResponseCache::purge_if(const std::function<bool(const Key&, const StoreOptions&)>& matches) {
  // Which filter that is, is not known here: whatever was begun before counts as covered.
  const auto all = [&] { impl_->voids.add(Filter{}, ++impl_->purges); };
  all();
  return impl_->drop(matches, all);
}

std::size_t ResponseCache::purge_everywhere(const Filter& filter, Reach* reach) {
  if (!impl_->shared) return purge(filter);
  Reach told = impl_->shared->announce(filter);
  const std::size_t gone = purge(filter);
  told = impl_->shared->await_reach(std::move(told));
  if (reach != nullptr) *reach = std::move(told);
  return gone;
}

std::size_t ResponseCache::Impl::drop(const std::function<bool(const Key&, const StoreOptions&)>& matches,
                                      const std::function<void()>& between) {
  std::unordered_set<Key, base::DigestHash> gone;
  if (disk) {
    for (const Key& key : disk->purge(matches)) gone.insert(key);
  }
  between();
  for (std::size_t i = 0; i < shard_count; ++i) {
    Shard& shard_i = shards[i];
    std::vector<NodePtr> removed;
    const std::lock_guard lock(shard_i.mutex);
    std::vector<Node*> matching;
    shard_i.nodes.for_each([&](Node& node) {
      if (matches(node.key, node.entry->meta)) matching.push_back(&node);
    });
    for (Node* node : matching) {
      gone.insert(node->key);
      if (disk) disk->erase(node->key);  // stored since the disk was purged
      removed.push_back(shard_i.remove(*node, room));
    }
  }
  const std::lock_guard lock(shards[0].mutex);
  shards[0].counted.purged += gone.size();
  return gone.size();
}

void ResponseCache::visit(const Filter& filter,
                          const std::function<void(const Key&, const Entry&)>& visit) const {
  const Matcher matches(filter);
  const bool in_one_shard = matches.from().bytes[0] == matches.to().bytes[0];
  const base::Nanos now = impl_->clock.now();
  std::unordered_set<Key, base::DigestHash> seen;
  for (std::size_t i = 0; i < impl_->shard_count; ++i) {
    const Shard& shard = impl_->shards[i];
    if (in_one_shard && &shard != &impl_->shard(matches.from())) continue;
    std::vector<std::pair<Key, EntryPtr>> live;
    {
      const std::lock_guard lock(shard.mutex);
      shard.nodes.for_each([&](const Node& node) {
        if (node.expires_at > now && matches(node.key, node.entry->meta))
          live.emplace_back(node.key, node.entry);
      });
    }
    for (const auto& [key, entry] : live) {
      if (impl_->disk) seen.insert(key);
      visit(key, *entry);
    }
  }
  if (!impl_->disk) return;
  (void)impl_->disk->flush();
  impl_->disk->visit(matches.from(), matches.to(), [&](OutsideEntry outside) {
    const Key key = outside.key;
    if (seen.contains(key) || !matches(key, outside.meta)) return;
    const EntryPtr entry = impl_->entry_of(std::move(outside));
    if (expiry(entry->stored_at, entry->meta.ttl_s) > now) visit(key, *entry);
  });
}

Stats ResponseCache::stats() const {
  Stats sum;
  for (std::size_t i = 0; i < impl_->shard_count; ++i) {
    Shard& shard = impl_->shards[i];
    const std::lock_guard lock(shard.mutex);
    const Stats& s = shard.counted;
    sum.hits += shard.hits.count;
    sum.stale += s.stale;
    sum.misses += s.misses;
    sum.coalesced += s.coalesced;
    sum.stores += s.stores;
    sum.refused += s.refused;
    sum.evictions += s.evictions;
    sum.expired += s.expired;
    sum.purged += s.purged;
    sum.tokens_saved += shard.hits.tokens_saved;
    sum.usd_saved += shard.hits.usd_saved;
  }
  sum.entries = impl_->room.entries();
  sum.bytes = impl_->room.bytes();
  return sum;
}

void ResponseCache::count_coalesced(std::int64_t tokens, double usd) {
  Shard& any = impl_->shards[0];
  const std::lock_guard lock(any.mutex);
  ++any.counted.coalesced;
  any.hits.save(tokens, usd);
}

}  // namespace pmt::response_cache
