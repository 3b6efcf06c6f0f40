#include "response_cache/store/invalidation.h"

#include <algorithm>
#include <set>

#include "base/hex.h"
#include "response_cache/store/entry.h"

namespace pmt::response_cache {
namespace {

/// The least and the greatest key whose hex begins with `prefix`; none does if it is too long.
std::pair<Key, Key> range_of(std::string_view prefix) {
  Key from, to;
  to.bytes.fill(0xff);
  if (prefix.size() > 2 * from.bytes.size()) return {to, from};
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    const int digit = base::hex_digit(prefix[i]);
    const int shift = i % 2 == 0 ? 4 : 0;
    from.bytes[i / 2] = static_cast<std::uint8_t>(from.bytes[i / 2] | digit << shift);
    to.bytes[i / 2] = static_cast<std::uint8_t>(to.bytes[i / 2] & ~((15 - digit) << shift));
  }
  return {from, to};
}

struct Part {
  const char* name;
  std::optional<std::string> Filter::*value;
};
constexpr Part kParts[] = {
    {"tag", &Filter::tag},       {"model", &Filter::model},       {"namespace", &Filter::name_space},
    {"tenant", &Filter::tenant}, {"prefix", &Filter::key_prefix}, {"made_of", &Filter::made_of}};

}  // namespace

Filter Filter::of_key(const Key& key) {
  Filter filter;
  filter.key_prefix = key.hex();
  return filter;
}

std::optional<Key> Filter::key() const {
  return key_prefix ? Key::of_hex(*key_prefix) : std::nullopt;
}

nlohmann::json filter_json(const Filter& filter) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [name, value] : kParts)
    if (filter.*value) out[name] = *(filter.*value);
  return out;
}

std::string filter_text(const Filter& filter) {
  return filter_json(filter).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

base::Result<Filter> read_filter(const nlohmann::json& json) {
  const base::Error wrong{base::Code::kCorrupt,
                          "a filter must be an object of tag, model, namespace, tenant, prefix, made_of"};
  if (!json.is_object()) return wrong;
  Filter filter;
  for (const auto& [name, value] : json.items()) {
    const auto* part = std::find_if(std::begin(kParts), std::end(kParts),
                                    [&n = name](const Part& p) { return n == p.name; });
    if (part == std::end(kParts) || !value.is_string()) return wrong;
    filter.*(part->value) = value.get<std::string>();
  }
  if (filter.key_prefix) {
    const auto& prefix = *filter.key_prefix;
    const bool hex =
        std::all_of(prefix.begin(), prefix.end(), [](char c) { return base::hex_digit(c) >= 0; });
    if (!hex || prefix.size() > 64) return wrong;
  }
  return filter;
}

Matcher::Matcher(const Filter& filter)
    : filter_(filter),
      range_(range_of(filter.key_prefix.value_or(""))),
      part_(Key::of_hex(filter.made_of.value_or(""))) {}

bool Matcher::operator()(const Key& key, const StoreOptions& meta) const {
  if (key < from() || key > to()) return false;
  if (filter_.tag && std::find(meta.tags.begin(), meta.tags.end(), *filter_.tag) == meta.tags.end())
    return false;
  if (filter_.model && meta.model != *filter_.model) return false;
  if (filter_.tenant && meta.tenant != *filter_.tenant) return false;
  if (filter_.made_of &&
      (!part_ || std::find(meta.made_of.begin(), meta.made_of.end(), *part_) == meta.made_of.end()))
    return false;
  return !filter_.name_space || meta.name_space == *filter_.name_space;
}

std::vector<Filter> coarser(const std::vector<Filter>& filters) {
  std::set<std::string> tenants;
  for (const Filter& filter : filters) {
    if (!filter.tenant) return {Filter{}};
    tenants.insert(*filter.tenant);
  }
  std::vector<Filter> out;
  for (const std::string& tenant : tenants) out.push_back({.tenant = tenant});
  return out;
}

void InvalidationTable::Group::add(const Filter& filter, std::uint64_t number) {
  const auto newer = [&](std::uint64_t& place) { place = std::max(place, number); };
  const auto parts = std::count_if(std::begin(kParts), std::end(kParts), [&](const Part& part) {
    return part.value != &Filter::tenant && (filter.*(part.value)).has_value();
  });
  if (parts == 0) return newer(all);
  if (parts == 1 && filter.tag) return newer(tags[*filter.tag]);
  if (parts == 1 && filter.model) return newer(models[*filter.model]);
  if (parts == 1 && filter.name_space) return newer(spaces[*filter.name_space]);
  if (parts == 1 && filter.key()) return newer(keys[*filter.key_prefix]);
  const auto found =
      std::find_if(others.begin(), others.end(), [&](const auto& other) { return other.first == filter; });
  if (found != others.end()) return newer(found->second);
  others.emplace_back(filter, number);
}

bool InvalidationTable::Group::covers(const Key& key, const StoreOptions& meta, std::uint64_t since) const {
  if (all > since) return true;
  const auto later = [&](const Latest& latest, const std::string& name) {
    if (latest.empty()) return false;
    const auto found = latest.find(name);
    return found != latest.end() && found->second > since;
  };
  for (const std::string& tag : meta.tags)
    if (later(tags, tag)) return true;
  if (later(models, meta.model) || later(spaces, meta.name_space)) return true;
  if (!keys.empty() && later(keys, key.hex())) return true;
  return std::any_of(others.begin(), others.end(), [&](const auto& other) {
    return other.second > since && Matcher(other.first)(key, meta);
  });
}

std::size_t InvalidationTable::Group::weight() const {
  return tags.size() + models.size() + spaces.size() + keys.size() + 1000 * others.size();
}

void InvalidationTable::Group::forget(std::uint64_t up_to) {
  *this = {.all = std::max(all, up_to)};
}

void InvalidationTable::add(const Filter& filter, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  Group* group = &everybody_;
  if (filter.tenant) {
    const auto [place, is_new] = tenants_.try_emplace(*filter.tenant);
    group = &place->second;
    weight_ += is_new ? 1 : 0;
  }
  const std::size_t before = group->weight();
  group->add(filter, number);
  weight_ += group->weight() - before;
  last_.store(std::max(last_.load(), number), std::memory_order_release);
  if (weight_ > kFiltersMax) forget_most(last_.load());
}

void InvalidationTable::forget_most(std::uint64_t up_to) {
  Group* most = &everybody_;
  for (auto& [name, group] : tenants_)
    if (group.weight() > most->weight()) most = &group;
  if (most->weight() == 0) tenants_.clear();  // it is the tenants that are too many
  most->forget(up_to);
  weight_ = everybody_.weight() + tenants_.size();
  for (const auto& [name, group] : tenants_) weight_ += group.weight();
}

bool InvalidationTable::covers(const Key& key, const StoreOptions& meta, std::uint64_t since) const {
  if (last() <= since) return false;
  const std::lock_guard lock(mutex_);
  if (everybody_.covers(key, meta, since)) return true;
  const auto own = tenants_.find(meta.tenant);
  return own != tenants_.end() && own->second.covers(key, meta, since);
}

void InvalidationTable::clear() {
  const std::lock_guard lock(mutex_);
  everybody_ = {};
  tenants_.clear();
  weight_ = 0;
  last_ = 0;
}

}  // namespace pmt::response_cache
