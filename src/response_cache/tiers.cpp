#include "response_cache/tiers.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <unordered_set>

#include "response_cache/store/deep_size.h"

namespace pmt::response_cache {

class Tiers::ToDisk final : public Store::Below {
 public:
  explicit ToDisk(DiskStore& disk) : disk_(disk) {}
  void put(const Key& key, EntryPtr entry) override { disk_.put(key, std::move(entry)); }
  void erase(const Key& key) override { disk_.erase(key); }

 private:
  DiskStore& disk_;
};

Tiers::Tiers(Limits limits, const base::Clock& clock) : clock_(clock), ram_(limits, clock) {}
Tiers::~Tiers() = default;

void Tiers::set_disk(std::unique_ptr<DiskStore> disk) {
  disk_ = std::move(disk);
  to_disk_ = std::make_unique<ToDisk>(*disk_);
  ram_.write_through(to_disk_.get());
}

void Tiers::set_shared(std::unique_ptr<SharedStore> shared) {
  shared_ = std::move(shared);
}

EntryPtr Tiers::entry_of(OutsideEntry outside) const {
  auto entry = std::make_shared<Entry>();
  entry->value = std::move(outside.value);
  entry->meta = std::move(outside.meta);
  const std::int64_t age_s = std::max<std::int64_t>(0, clock_.unix_seconds() - outside.stored_unix_s);
  entry->stored_at = clock_.now() - std::chrono::seconds(std::min<std::int64_t>(age_s, 1'000'000'000));
  entry->stored_unix_s = outside.stored_unix_s;
  entry->bytes = entry_bytes(*entry);
  return entry;
}

/// Into RAM, unless a purge since `since` covers it, or it was stored or changed there since `changes`.
bool Tiers::fill(const Key& key, const EntryPtr& entry, std::uint64_t since, std::uint64_t changes) {
  return ram_.fill(key, entry, changes, [&] { return !voids_.covers(key, entry->meta, since); });
}

/// False: it isn't there, or its life is over, or RAM has no room for it.
bool Tiers::bring_from_disk(const Key& key) {
  const std::uint64_t since = voids_.last(), changes = ram_.changes(key);
  auto outside = disk_->get(key);
  if (!outside) return false;
  const EntryPtr entry = entry_of(std::move(*outside));
  const std::chrono::duration<double> left = expiry_of(*entry) - clock_.now();
  if (left.count() + entry->meta.stale_s <= 0) {
    disk_->erase(key);
    count(owners().of(entry->meta), &Stats::expired);
    return false;
  }
  return fill(key, entry, since, changes);
}

Found Tiers::find(const Key& key, const LookupOptions& options) {
  Found found = ram_.find(key, options);
  if (found || found.why != Miss::kAbsent || !disk_) return found;
  const bool brought = bring_from_disk(key);
  found = ram_.find(key, options);  // also what was stored meanwhile
  if (!brought) return found;
  found.tier = Tier::kDisk;
  if (found && options.asker != Asker::kNobody) ++disk_hits_;
  return found;
}

EntryPtr Tiers::peek(const Key& key) const {
  Store::Peeked seen = ram_.peek(key);
  if (seen.held || !disk_) return std::move(seen.live);
  auto outside = disk_->get(key);
  if (!outside) return nullptr;
  EntryPtr entry = entry_of(std::move(*outside));
  return expiry_of(*entry) > clock_.now() ? entry : nullptr;
}

void Tiers::fetch(const Key& key, SharedStore::AcquireOptions options, std::function<void(Fetched)> done) {
  if (!shared_) return done({.reservation = reserve()});
  shared_->acquire(key, std::move(options),
                   [this, key, since = voids_.last(), done = std::move(done)](SharedStore::Answer answer) {
                     Fetched fetched{.waited = answer.waited, .busy = answer.busy, .reservation = reserve()};
                     fetched.reservation.lease_ = std::move(answer.lease);
                     if (answer.entry) {
                       fetched.entry = entry_of(std::move(*answer.entry));
                       (void)fill(key, fetched.entry, since, ram_.changes(key));
                     }
                     done(std::move(fetched));
                   });
}

void Tiers::look(const Key& key, std::function<void(EntryPtr)> done) {
  EntryPtr here = peek(key);
  if (here != nullptr || !shared_) return done(std::move(here));
  shared_->acquire(key, {.lease = false, .wait = false, .counted = false},
                   [this, done = std::move(done)](SharedStore::Answer answer) {
                     done(answer.entry ? entry_of(std::move(*answer.entry)) : nullptr);
                   });
}

Reservation Tiers::reserve() const {
  Reservation reservation;
  reservation.local_ = voids_.last();
  reservation.shared_ = shared_ ? shared_->position() : 0;
  reservation.holder_ = shared_.get();
  return reservation;
}

base::Result<bool> Tiers::put(const Key& key, const EntryPtr& entry, Reservation reservation) {
  const auto kept =
      ram_.put(key, entry, [&] { return !voids_.covers(key, entry->meta, reservation.local_); });
  if (shared_ && kept && *kept)
    shared_->put(key, entry, reservation.shared_, std::exchange(reservation.lease_, {}));
  return kept;
}

std::size_t Tiers::purge_key(const Key& key) {
  const auto on_disk = disk_ ? disk_->get(key) : std::nullopt;
  voids_.add(Filter::of_key(key), ++purges_);
  std::optional<Owners::Number> owner = ram_.erase(key);
  if (!owner && on_disk) owner = owners().of(on_disk->meta);
  if (!owner) return 0;
  count(*owner, &Stats::purged);
  return 1;
}

/// The number moves on before anything is removed, for what is just being computed, and again after the
/// disk's part, for what was read from there meanwhile.
std::size_t Tiers::purge(const Filter& filter) {
  const Filter only_key{.key_prefix = filter.key_prefix};
  if (const auto key = filter.key(); key && filter == only_key) return purge_key(*key);
  const Matcher matches(filter);
  voids_.add(filter, ++purges_);
  return drop([&](const Key& key, const StoreOptions& meta) { return matches(key, meta); },
              [&] { voids_.add(filter, ++purges_); });
}

std::size_t Tiers::purge_if(const Store::Matches& matches) {
  // Which filter that is, is not known here: whatever was begun before counts as covered.
  const auto all = [&] { voids_.add(Filter{}, ++purges_); };
  all();
  return drop(matches, all);
}

/// `between`: after the disk's part.
std::size_t Tiers::drop(const Store::Matches& matches, const std::function<void()>& between) {
  Store::Erased gone;
  if (disk_) {
    Store::Erased matched;
    const auto noting = [&](const Key& key, const StoreOptions& meta) {
      const bool goes = matches(key, meta);
      if (goes) matched.emplace(key, owners().of(meta));
      return goes;
    };
    for (const Key& key : disk_->purge(noting)) gone.emplace(key, matched.at(key));
  }
  between();
  gone.merge(ram_.erase_if(matches));  // what was stored since the disk was purged leaves the disk too
  for (const auto& [key, owner] : gone) count(owner, &Stats::purged);
  return gone.size();
}

void Tiers::count(Owners::Number owner, std::uint64_t Stats::*what) {
  const std::lock_guard lock(gone_mutex_);
  ++(of_owner(gone_, owner).*what);
}

StatsByOwner Tiers::stats() const {
  StatsByOwner stats = ram_.stats();
  const std::lock_guard lock(gone_mutex_);
  for (std::size_t i = 0; i < gone_.size(); ++i) of_owner(stats, static_cast<Owners::Number>(i)) += gone_[i];
  return stats;
}

std::optional<DiskStats> Tiers::disk_stats() const {
  if (!disk_) return std::nullopt;
  DiskStats stats = disk_->stats();
  stats.hits = disk_hits_;
  return stats;
}

Tiers::Kept Tiers::kept() const {
  if (disk_) {
    const DiskStats below = disk_->stats();
    return {.entries = below.entries, .bytes = below.bytes};
  }
  const Stats above = ram_.held();
  return {.entries = above.entries, .bytes = above.bytes};
}

void Tiers::visit(const Filter& filter, const std::function<void(const Key&, const Entry&)>& visit) const {
  const Matcher matches(filter);
  const base::Nanos now = clock_.now();
  std::unordered_set<Key, base::DigestHash> seen;
  ram_.visit(
      matches.from(), matches.to(),
      [&](const Key& key, const StoreOptions& meta) { return matches(key, meta); },
      [&](const Key& key, const Entry& entry) {
        if (disk_) seen.insert(key);
        visit(key, entry);
      });
  if (!disk_) return;
  (void)disk_->flush();
  disk_->visit(matches.from(), matches.to(), [&](OutsideEntry outside) {
    const Key key = outside.key;
    if (seen.contains(key) || !matches(key, outside.meta)) return;
    const EntryPtr entry = entry_of(std::move(outside));
    if (expiry_of(*entry) > now) visit(key, *entry);
  });
}

}  // namespace pmt::response_cache
