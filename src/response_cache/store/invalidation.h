// What is void: filters over entries, and the memory of which were used when.
//
// A purge removes what is there. What is just being computed, read from the disk or written by another server
// arrives later, and was made from before the purge: so each purge has a number, whoever makes or reads an
// entry notes the number before it begins, and keeps the entry only if no later purge covers it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/result.h"

namespace pmt::response_cache {

using Key = base::Digest;
struct StoreOptions;

/// Matches what has all the set parts; with none set, everything.
struct Filter {
  std::optional<std::string> tag = {};
  std::optional<std::string> model = {};
  std::optional<std::string> name_space = {};
  std::optional<std::string> tenant = {};
  std::optional<std::string> key_prefix =
      {};                                   // of the key's hex, in lower case; all 64 digits name one entry
  std::optional<std::string> made_of = {};  // a key's hex: what this entry's answer had a part in

  static Filter of_key(const Key& key);
  /// The one key that it names by key_prefix, if that is whole.
  std::optional<Key> key() const;
  bool operator==(const Filter&) const = default;
};

/// {"tag", "model", "namespace", "tenant", "prefix", "made_of"}: those that are set. Equal filters give equal texts.
nlohmann::json filter_json(const Filter& filter);
/// Its text; bytes that are no UTF-8, which no entry has, are replaced.
std::string filter_text(const Filter& filter);
/// Errors: kCorrupt. An unknown part is an error: ignoring it would match too much.
base::Result<Filter> read_filter(const nlohmann::json& json);

/// A filter made ready to be asked often. `filter` must outlive it. Thread-safety: const.
class Matcher {
 public:
  explicit Matcher(const Filter& filter);
  bool operator()(const Key& key, const StoreOptions& meta) const;
  const Key& from() const { return range_.first; }
  const Key& to() const { return range_.second; }

 private:
  const Filter& filter_;
  const std::pair<Key, Key> range_;
  const std::optional<Key> part_;  // what made_of names; null: no key
};

/// `filters`, none lost and perhaps covering more, in as few as there are tenants: what is of one tenant
/// stays its own.
std::vector<Filter> coarser(const std::vector<Filter>& filters);

/// Which filters were used at which number. Above kFiltersMax different ones it forgets them, and covers
/// everything from before instead: of the tenant that used most of them, so that no tenant's purges cost
/// another its entries. Thread-safety: any thread may call anything.
/// Cost: covers() is one comparison while nothing was added since, else a look-up for each of the entry's
/// tags and a walk over the filters of several parts (the tenant is no part).
class InvalidationTable {
 public:
  static constexpr std::size_t kFiltersMax = 100'000;

  void add(const Filter& filter, std::uint64_t number);
  /// Whether a filter of a number above `since` matches.
  bool covers(const Key& key, const StoreOptions& meta, std::uint64_t since) const;
  std::uint64_t last() const { return last_.load(std::memory_order_acquire); }
  void clear();

 private:
  /// The filters of one tenant, or those that name none.
  struct Group {
    using Latest = std::unordered_map<std::string, std::uint64_t>;

    void add(const Filter& filter, std::uint64_t number);
    bool covers(const Key& key, const StoreOptions& meta, std::uint64_t since) const;
    /// A walk over filters of several parts must stay short, so one of them counts a thousandfold.
    std::size_t weight() const;
    void forget(std::uint64_t up_to);

    std::uint64_t all = 0;  // everything up to here is void
    Latest tags = {}, models = {}, spaces = {}, keys = {};
    std::vector<std::pair<Filter, std::uint64_t>> others = {};
  };
  void forget_most(std::uint64_t up_to);

  std::atomic<std::uint64_t> last_{0};
  mutable std::mutex mutex_;
  std::size_t weight_ = 0;  // of all groups, guarded by mutex_, like the next two
  Group everybody_;
  std::unordered_map<std::string, Group> tenants_;
};

}  // namespace pmt::response_cache
