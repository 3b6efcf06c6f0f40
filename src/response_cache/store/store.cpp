#include "response_cache/store/store.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "response_cache/store/brief_mutex.h"
#include "response_cache/store/deep_size.h"
#include "response_cache/store/key_table.h"
#include "response_cache/store/node_pool.h"
#include "response_cache/store/room.h"

namespace pmt::response_cache {
namespace {

constexpr base::Nanos kNever = base::Nanos::max();
// Below these a shard would be so small that its own LRU order says little about the whole cache's.
constexpr std::size_t kShardsMax = 64;
constexpr std::size_t kEntriesPerShardMin = 64;
constexpr std::size_t kBytesPerShardMin = 64 << 10;

std::size_t shards_for(const Limits& limits) {
  const std::size_t wanted =
      std::min(limits.entries_max / kEntriesPerShardMin, limits.bytes_max / kBytesPerShardMin);
  return std::bit_floor(std::clamp<std::size_t>(wanted, 1, kShardsMax));
}

// As many as a node has bits for.
constexpr std::int64_t kTokensMax = (std::int64_t{1} << 46) - 1;

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

LookupCounts& LookupCounts::operator+=(const LookupCounts& other) {
  hits += other.hits;
  stale += other.stale;
  semantic += other.semantic;
  misses += other.misses;
  coalesced += other.coalesced;
  stores += other.stores;
  tokens_saved += other.tokens_saved;
  usd_saved += other.usd_saved;
  return *this;
}

Stats& Stats::operator+=(const Stats& other) {
  LookupCounts::operator+=(other);
  engine += other.engine;
  refused += other.refused;
  evictions += other.evictions;
  expired += other.expired;
  purged += other.purged;
  flagged += other.flagged;
  entries += other.entries;
  bytes += other.bytes;
  return *this;
}

Stats& of_owner(StatsByOwner& stats, Owners::Number owner) {
  if (owner >= stats.size()) stats.resize(owner + std::size_t{1});
  return stats[owner];
}

base::Nanos expiry_of(const Entry& entry) {
  const std::optional<double>& ttl_s = entry.meta.ttl_s;
  if (!ttl_s) return kNever;
  if (!(*ttl_s > 0)) return entry.stored_at;
  const double ns = *ttl_s * 1e9;
  const auto left = static_cast<double>((kNever - entry.stored_at).count());
  return ns >= left / 2 ? kNever : entry.stored_at + base::Nanos(static_cast<std::int64_t>(ns));
}

/// An entry's place in its shard. All that a hit needs lies here, in two cache lines, the count of its
/// readers included (allocate_shared puts it in front): the entry itself is read by whoever uses it. Nothing
/// that a reader sees is changed: another value under the same key is another node.
struct Store::Node : Evictable {
  EntryPtr entry;
  base::Nanos expires_at = kNever;
  std::int64_t tokens : 47 = 0;
  std::int64_t is_no_answer : 1 = 0;
  std::uint64_t owner : 16 = 0;  // Owners::Number
  double usd = 0;
};

/// One lock, one table, one policy. Every member needs the lock. What a hit counts lies in one cache line: two
/// cores that hit take as few lines as possible from one another.
struct alignas(64) Store::Shard {
  struct Hits {
    std::uint64_t hits = 0, stale = 0;
    std::int64_t tokens_saved = 0;
    double usd_saved = 0;
    void add(const Node& node, bool is_stale) {
      ++hits;
      stale += is_stale ? 1 : 0;
      tokens_saved += node.tokens;
      usd_saved += node.usd;
    }
    void add_to(LookupCounts& sum) const {
      sum += LookupCounts{.hits = hits, .stale = stale, .tokens_saved = tokens_saved, .usd_saved = usd_saved};
    }
  };
  struct alignas(64) Counted {
    Hits client, engine;
    std::uint64_t client_stores = 0, engine_stores = 0, refused = 0, evictions = 0, expired = 0;
  };
  mutable BriefMutex mutex;
  std::vector<Counted> counted;  // at each owner's number; a node's owner has one
  KeyTable<Node> nodes;
  std::unique_ptr<EvictionPolicy> policy;

  Counted& of(std::size_t owner) {
    if (owner >= counted.size()) counted.resize(owner + 1);
    return counted[owner];
  }
  Node* pick(const Node* spared) { return static_cast<Node*>(policy->pick(spared)); }
  /// Returns the node, so that the caller can free it after the lock.
  NodePtr remove(Node& node, Room& room) {
    room.give_back(1, node.bytes);
    policy->remove(node);
    return nodes.erase(node);
  }
};

namespace {

/// The entry, for as long as its node is held: reading takes one count, the node's.
template <class NodePtr>
EntryPtr entry_in(const NodePtr& node) {
  return {node, node->entry.get()};
}

}  // namespace

Store::Store(Limits limits, const base::Clock& clock)
    : clock_(clock),
      room_(std::make_unique<Room>(limits)),
      shard_count_(shards_for(limits)),
      shards_(new Shard[shard_count_]) {
  static_assert(sizeof(Node) + kSharedPtrBytes == node_pool::kBlockBytes);
  for (std::size_t i = 0; i < shard_count_; ++i) shards_[i].policy = make_policy(limits.eviction);
}
Store::~Store() = default;

void Store::write_through(Below* below) {
  below_ = below;
}

Store::Shard& Store::shard(const Key& key) const {
  return shards_[key.bytes[0] & (shard_count_ - 1)];
}

std::atomic<std::uint64_t>& Store::changes_of(const Key& key) const {
  return changes_[(std::size_t{key.bytes[1]} << 8U | key.bytes[2]) % changes_.size()];
}

std::uint64_t Store::changes(const Key& key) const {
  return changes_of(key);
}

/// Needs the lock. `expired`: the node, if its life is over; it is freed after the lock.
std::optional<Miss> Store::unusable(Shard& home, Node& node, const LookupOptions& options, bool& stale,
                                    NodePtr& expired) {
  if (options.answers_only && node.is_no_answer != 0) return Miss::kNoAnswer;
  if (node.expires_at == kNever && !options.max_age_s) return {};
  const base::Nanos now = clock_.now();
  if (now >= node.expires_at) {
    stale = true;
    const double over_life = seconds_between(node.expires_at, now);
    if (over_life > node.entry->meta.stale_s || node.entry->meta.stale_s <= 0) {
      expired = home.remove(node, *room_);
      if (below_ != nullptr) below_->erase(expired->key);
      ++home.counted[expired->owner].expired;
      return Miss::kExpired;
    }
    if (over_life > options.stale_s || options.stale_s <= 0) return Miss::kExpired;
  }
  if (options.max_age_s) {
    const double over_age = seconds_between(node.entry->stored_at, now) - *options.max_age_s;
    stale = stale || over_age > 0;
    if (over_age > 0 && over_age > options.stale_s) return Miss::kTooOld;
  }
  return {};
}

Found Store::find(const Key& key, const LookupOptions& options) {
  Found found = look_up(key, options);
  // Outside of the lock: whoever asked reads the entry next, so its cache line is fetched once.
  if (found && options.asker == Asker::kClient) found.entry->hits.add();
  return found;
}

Found Store::look_up(const Key& key, const LookupOptions& options) {
  Shard& home = shard(key);
  NodePtr expired;  // freed after the lock
  const std::lock_guard lock(home.mutex);
  const NodePtr* const found = home.nodes.find(key);
  if (found == nullptr) return {};
  Node& node = **found;
  bool stale = false;
  if (const auto why = unusable(home, node, options, stale, expired)) return {.entry = nullptr, .why = *why};
  home.policy->touch(node);
  Shard::Counted& counted = home.counted[node.owner];
  if (options.asker == Asker::kClient) counted.client.add(node, stale);
  if (options.asker == Asker::kEngine) counted.engine.add(node, stale);
  return {.entry = entry_in(*found), .stale = stale};
}

Store::Peeked Store::peek(const Key& key) const {
  const Shard& home = shard(key);
  const std::lock_guard lock(home.mutex);
  const NodePtr* const found = home.nodes.find(key);
  if (found == nullptr) return {};
  return {.held = true, .live = (*found)->expires_at > clock_.now() ? entry_in(*found) : nullptr};
}

std::optional<std::uint64_t> Store::hits(const Key& key) const {
  const EntryPtr entry = peek(key).live;
  return entry == nullptr ? std::nullopt : std::optional(entry->hits.get());
}

/// Links `entry` if this shard alone can make room for it. Needs its lock.
bool Store::try_put(Shard& home, const Key& key, const EntryPtr& entry, Owners::Number owner,
                    std::vector<NodePtr>& removed) {
  (void)home.of(owner);
  const NodePtr* const found = home.nodes.find(key);
  Node* const replaced = found != nullptr ? found->get() : nullptr;
  const std::size_t held = replaced != nullptr ? replaced->bytes : 0;
  const std::size_t more = entry->bytes > held ? entry->bytes - held : 0;
  while (!room_->take(replaced != nullptr ? 0 : 1, more)) {
    Node* const victim = home.pick(replaced);
    if (victim == nullptr) return false;
    removed.push_back(home.remove(*victim, *room_));
    ++home.counted[removed.back()->owner].evictions;
  }
  if (held > entry->bytes) room_->give_back(0, held - entry->bytes);
  auto node = std::allocate_shared<Node>(NodeAllocator<Node>());
  node->key = key;
  node->entry = entry;
  node->expires_at = expiry_of(*entry);
  node->bytes = entry->bytes;
  node->tokens = std::clamp<std::int64_t>(entry->meta.tokens, 0, kTokensMax);
  node->is_no_answer = std::holds_alternative<RecordedAnswer>(entry->value.content) ? 0 : -1;
  node->owner = owner;
  node->usd = entry->meta.usd;
  node->worth = worth_of(entry->meta, room_->limits());
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
void Store::evict_elsewhere(const Shard& full) {
  for (std::size_t i = 0; i < shard_count_; ++i) {
    Shard& other = shards_[next_victim_++ & (shard_count_ - 1)];
    if (&other == &full) continue;
    NodePtr victim;
    const std::lock_guard lock(other.mutex);
    Node* const node = other.pick(nullptr);
    if (node == nullptr) continue;
    victim = other.remove(*node, *room_);
    ++other.counted[victim->owner].evictions;
    return;
  }
  std::this_thread::yield();  // another store holds the room for a moment and is about to link its entry
}

/// `filled_at`: of what was read from below; null: it is new.
base::Result<bool> Store::keep(const Key& key, const EntryPtr& entry, const Admit& admit,
                               const std::uint64_t* filled_at) {
  Shard& home = shard(key);
  const bool is_new = filled_at == nullptr;
  const Limits& limits = room_->limits();
  const Owners::Number owner = owners_.of(entry->meta);
  if (entry->bytes > limits.bytes_max || limits.entries_max == 0) {
    const std::lock_guard lock(home.mutex);
    home.of(owner).refused += is_new ? 1 : 0;
    return base::Error{base::Code::kTooLarge,
                       fmt::format("a value of {} bytes does not fit the response cache's "
                                   "limits of {} bytes and {} entries",
                                   entry->bytes, limits.bytes_max, limits.entries_max)};
  }
  std::vector<NodePtr> removed;  // freed after the lock
  while (true) {
    {
      const std::lock_guard lock(home.mutex);
      if (!admit()) {
        home.of(owner).refused += is_new ? 1 : 0;
        return false;
      }
      if (!is_new && (changes_of(key) != *filled_at || home.nodes.find(key) != nullptr)) return false;
      if (try_put(home, key, entry, owner, removed)) {
        if (!is_new) return true;
        ++(entry->meta.engine_call ? home.of(owner).engine_stores : home.of(owner).client_stores);
        ++changes_of(key);
        if (below_ != nullptr) below_->put(key, entry);
        return true;
      }
    }
    evict_elsewhere(home);
  }
}

base::Result<bool> Store::put(const Key& key, const EntryPtr& entry, const Admit& admit) {
  return keep(key, entry, admit, nullptr);
}

bool Store::fill(const Key& key, const EntryPtr& entry, std::uint64_t changes, const Admit& admit) {
  const auto kept = keep(key, entry, admit, &changes);
  return kept && *kept;
}

std::optional<Owners::Number> Store::erase(const Key& key) {
  Shard& home = shard(key);
  NodePtr removed;
  const std::lock_guard lock(home.mutex);
  if (below_ != nullptr) below_->erase(key);
  const NodePtr* const found = home.nodes.find(key);
  if (found == nullptr) return std::nullopt;
  removed = home.remove(**found, *room_);
  return static_cast<Owners::Number>(removed->owner);
}

Store::Erased Store::erase_if(const Matches& matches) {
  Erased gone;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    Shard& each = shards_[i];
    std::vector<NodePtr> removed;
    const std::lock_guard lock(each.mutex);
    std::vector<Node*> matching;
    each.nodes.for_each([&](Node& node) {
      if (matches(node.key, node.entry->meta)) matching.push_back(&node);
    });
    for (Node* node : matching) {
      gone.emplace(node->key, static_cast<Owners::Number>(node->owner));
      if (below_ != nullptr) below_->erase(node->key);
      removed.push_back(each.remove(*node, *room_));
    }
  }
  return gone;
}

void Store::visit(const Key& from, const Key& to, const Matches& matches,
                  const std::function<void(const Key&, const Entry&)>& visit) const {
  const bool in_one_shard = from.bytes[0] == to.bytes[0];
  const base::Nanos now = clock_.now();
  for (std::size_t i = 0; i < shard_count_; ++i) {
    const Shard& each = shards_[i];
    if (in_one_shard && &each != &shard(from)) continue;
    std::vector<std::pair<Key, EntryPtr>> live;
    {
      const std::lock_guard lock(each.mutex);
      each.nodes.for_each([&](const Node& node) {
        if (node.expires_at > now && matches(node.key, node.entry->meta))
          live.emplace_back(node.key, node.entry);
      });
    }
    for (const auto& [key, entry] : live) visit(key, *entry);
  }
}

StatsByOwner Store::stats() const {
  StatsByOwner sums;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    const Shard& each = shards_[i];
    const std::lock_guard lock(each.mutex);
    for (std::size_t owner = 0; owner < each.counted.size(); ++owner) {
      const Shard::Counted& counted = each.counted[owner];
      Stats& sum = of_owner(sums, static_cast<Owners::Number>(owner));
      counted.client.add_to(sum);
      counted.engine.add_to(sum.engine);
      sum.stores += counted.client_stores;
      sum.engine.stores += counted.engine_stores;
      sum.refused += counted.refused;
      sum.evictions += counted.evictions;
      sum.expired += counted.expired;
    }
  }
  return sums;
}

Stats Store::held() const {
  Stats held;
  held.entries = room_->entries();
  held.bytes = room_->bytes();
  return held;
}

}  // namespace pmt::response_cache
