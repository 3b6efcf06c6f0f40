#include "response_cache/response_cache.h"

#include <utility>

#include "response_cache/store/deep_size.h"

namespace pmt::response_cache {

ResponseCache::ResponseCache(Limits limits, const base::Clock& clock)
    : clock_(clock), tiers_(limits, clock) {}
ResponseCache::~ResponseCache() = default;

Found ResponseCache::find(const Key& key, const LookupOptions& options) {
  Found found = tiers_.find(key, options);
  if (!found && options.asker != Asker::kNobody) end_lookup(key, {.asker = options.asker});
  return found;
}

void ResponseCache::find_everywhere(const Key& key, const std::string& tenant,
                                    std::function<void(EntryPtr)> done) {
  if (Found found = tiers_.find(key, {})) return done(std::move(found.entry));
  tiers_.fetch(key, {.lease = false, .wait = false, .who = {.model = {}, .tenant = tenant, .key = {}}},
               [this, key, tenant, done = std::move(done)](Fetched fetched) {
                 if (fetched.entry) {
                   const StoreOptions& meta = fetched.entry->meta;
                   fetched.entry->hits.add();
                   end_lookup(key, {.ending = Ending::kHit,
                                    .who = {.model = meta.model, .tenant = meta.tenant, .key = {}},
                                    .tokens = meta.tokens,
                                    .usd = meta.usd});
                 } else {
                   end_lookup(key, {.who = {.model = {}, .tenant = tenant, .key = {}}});
                 }
                 done(std::move(fetched.entry));
               });
}

base::Result<bool> ResponseCache::store(const Key& key, Value value, StoreOptions options) {
  return store(key, std::move(value), std::move(options), tiers_.reserve());
}

base::Result<bool> ResponseCache::store(const Key& key, Value value, StoreOptions options,
                                        Reservation reservation) {
  if (!options.reusable) {
    counters_.refused(tiers_.owners().of(options));
    return false;
  }
  auto entry = std::make_shared<Entry>();
  entry->value = std::move(value);
  entry->meta = std::move(options);
  entry->stored_at = clock_.now();
  entry->stored_unix_s = clock_.unix_seconds();
  entry->bytes = entry_bytes(*entry);
  return tiers_.put(key, entry, std::move(reservation));
}

base::Result<bool> ResponseCache::restore(OutsideEntry outside) {
  const Key key = outside.key;
  const EntryPtr entry = tiers_.entry_of(std::move(outside));
  if (clock_.now() >= expiry_of(*entry)) return false;
  return tiers_.put(key, entry, tiers_.reserve());
}

std::size_t ResponseCache::purge(const Filter& filter, InvalidationReport* applied) {
  SharedStore* const shared = tiers_.shared();
  InvalidationReport report;
  if (shared != nullptr) report = shared->announce(filter);
  const std::size_t gone = tiers_.purge(filter);
  if (shared == nullptr) return gone;
  report = shared->await_applied(std::move(report));
  if (applied != nullptr) *applied = std::move(report);
  return gone;
}

std::size_t ResponseCache::purge_answer(const Key& key, const EntryPtr& entry, InvalidationReport* applied) {
  std::size_t gone = purge(Filter::of_key(key), applied);
  if (entry == nullptr || !std::holds_alternative<RecordedAnswer>(entry->value.content)) return gone;
  for (const Key& part : entry->meta.made_of) gone += purge(Filter::of_key(part));
  return gone + purge({.tenant = entry->meta.tenant, .made_of = key.hex()});
}

void ResponseCache::visit(const Filter& filter,
                          const std::function<void(const Key&, const Entry&)>& visit) const {
  tiers_.visit(filter, visit);
}

StatsByOwner ResponseCache::counted() const {
  StatsByOwner sums = tiers_.stats();
  counters_.add_to(sums, tiers_.owners().all().size());
  return sums;
}

Stats ResponseCache::stats() const {
  Stats sum = tiers_.held();
  for (const Stats& one : counted()) sum += one;
  return sum;
}

std::vector<std::pair<base::User, Stats>> ResponseCache::stats_by_owner() const {
  const StatsByOwner sums = counted();
  std::vector<base::User> owners = tiers_.owners().all();  // after the sums: each of these has its owner
  std::vector<std::pair<base::User, Stats>> out;
  for (std::size_t i = 0; i < sums.size(); ++i) out.emplace_back(std::move(owners[i]), sums[i]);
  return out;
}

void ResponseCache::end_lookup(const Key& key, const LookupEnd& end) {
  counters_.end(key, tiers_.owners().of(end.who), end);
}

}  // namespace pmt::response_cache
