// What every figure of the caches must be, from the acts alone: written from the table in docs/observability.md, without
// a look at how the server counts. Time is in whole seconds.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/wiring/counted_server.h"

namespace pmt::app::counted {

struct Lookups {
  std::int64_t hits = 0, stale = 0, misses = 0, stores = 0, tokens = 0;
  double usd = 0;
};
/// Of one model and tenant.
struct Owned {
  Lookups client, engine;
  std::int64_t refused = 0, expired = 0, purged = 0, flagged = 0;
};
/// Of one tenant's completed answers.
struct Answers {
  std::map<std::string, std::int64_t> by_status, tokens_by_status;
  std::int64_t lookups = 0, saved = 0, computed = 0;
  double usd = 0;
};
struct Uses {
  std::int64_t count = 0, tokens = 0;
};

struct Entry {
  std::string model, tenant, name_space, tag;
  std::int64_t tokens = 0;
  double usd = 0;
  std::int64_t stored = 0;
  std::optional<double> ttl = {};
  double stale = 0;
  bool is_answer = true, knows = false, in_ram = true;
  std::vector<std::string> made_of = {};
  std::string digest = {};
  std::int64_t hits = 0;  // of clients, since it is in memory
  bool live(std::int64_t now) const { return !ttl || static_cast<double>(now - stored) < *ttl; }
};

struct Asking {
  std::string model, tenant, mode = "on", name_space, tag;
  int question = 0;
  std::optional<double> ttl = {};
  double stale = 0;
  bool knows = false;    // names the domain
  bool sampled = false;  // temperature 1: nothing that is kept
  bool reads() const { return mode == "on" || mode == "read_only"; }
  bool writes() const { return mode != "read_only"; }
  bool bypasses() const { return mode == "off" || sampled; }
};

class Oracle {
 public:
  using Who = std::pair<std::string, std::string>;  // model, tenant

  // What was counted since the start, and what is kept.
  std::map<Who, Owned> owned;
  std::map<std::string, Answers> answers;  // by tenant
  std::map<std::string, Uses> cache_uses;  // by surface
  std::map<std::string, std::int64_t> facts_recalled;
  std::int64_t disk_hits = 0;
  std::map<std::string, Entry> entries;              // by a key of ours
  std::map<std::string, std::map<int, int>> taught;  // by tenant: thing, which answer
  std::int64_t now = 0;

  void restart() {
    owned.clear();
    answers.clear();
    cache_uses.clear();
    facts_recalled.clear();
    disk_hits = 0;
    for (auto& [key, entry] : entries) {
      entry.in_ram = false;
      entry.hits = 0;
    }
  }
  void teach(const std::string& tenant, int thing) {
    taught[tenant][thing] = ++lesson_;
    versions_[tenant] = lesson_;
  }
  void forget(const std::string& tenant) { taught.erase(tenant); }
  bool knows(const std::string& tenant) const { return taught.contains(tenant); }

  /// What the answer's header says.
  std::string ask(const Asking& a) {
    Made made;
    std::string status = "bypass";
    if (!a.bypasses()) {
      const std::string key = key_of(a);
      const Found found = a.reads() ? look_up(key, false, owner_of(a), a.stale) : Found{};
      if (found.entry) {
        count_use(a, found.entry->tokens);
        count_answer(a, found.stale ? "stale" : "hit", *found.entry);
        if (found.stale && a.mode == "on") store(key, a, compute(a));
        return found.stale ? "stale" : "hit";
      }
      made = compute(a);
      if (a.writes()) store(key, a, made);
      status = "miss";
    } else {
      made = compute(a);
    }
    Answers& of = answers[a.tenant];
    ++of.by_status[status];
    of.tokens_by_status[status] += made.tokens;
    of.computed += made.tokens;
    if (status == "miss" && a.reads()) ++of.lookups;
    return status;
  }
  std::string key_of(const Asking& a) const {
    return a.model + "|" + a.tenant + "|" + std::to_string(a.question) + "|" + a.name_space + "|" +
           packs_of(a);
  }

  void put(const std::string& tenant, const std::string& name, Entry value, bool reusable) {
    Owned& of = owned[{"", tenant}];
    if (!reusable) {
      ++of.refused;
      return;
    }
    value.tenant = tenant;
    value.stored = now;
    value.is_answer = false;
    value.digest = digest_of(own_key(tenant, name));
    entries[own_key(tenant, name)] = std::move(value);
    ++of.client.stores;
  }
  bool use_own(const std::string& tenant, const std::string& name) {
    return look_up(own_key(tenant, name), false, {"", tenant}, 0).entry.has_value();
  }
  static std::string own_key(const std::string& tenant, const std::string& name) {
    return "own|" + tenant + "|" + name;
  }

  std::int64_t purge(const std::function<bool(const std::string&, const Entry&)>& matches) {
    std::int64_t gone = 0;
    for (auto at = entries.begin(); at != entries.end();) {
      if (!matches(at->first, at->second)) {
        ++at;
        continue;
      }
      ++owned[{at->second.model, at->second.tenant}].purged;
      at = entries.erase(at);
      ++gone;
    }
    return gone;
  }
  /// An answer goes with its twins; a value, and what lives no more, alone.
  std::int64_t purge_answer(const std::string& key) {
    const Entry entry = entries.at(key);
    const bool alone = !entry.is_answer || !entry.live(now);
    return purge([&](const std::string& other, const Entry& one) {
      if (other == key) return true;
      const auto has = [](const Entry& whole, const std::string& part) {
        return std::find(whole.made_of.begin(), whole.made_of.end(), part) != whole.made_of.end();
      };
      return !alone && (has(entry, other) || has(one, key));
    });
  }
  void flag(const std::string& key) {
    ++owned[{entries.at(key).model, entries.at(key).tenant}].flagged;
    purge_answer(key);
  }
  /// Of all that lives, out of an export.
  void import_all() {
    for (auto& [key, entry] : entries) {
      if (!entry.live(now)) continue;
      entry.in_ram = true;
      entry.hits = 0;
      ++owned[{entry.model, entry.tenant}].client.stores;
    }
  }
  /// The key under which something was kept, by the digest that the server has for it; "": none.
  std::string key_of_digest(const std::string& digest) const {
    for (const auto& [key, entry] : entries)
      if (entry.digest == digest) return key;
    return "";
  }
  std::function<std::string(const std::string& key)> digest_of;

 private:
  struct Made {
    std::int64_t tokens = 0;
    double usd = 0;
    std::string model;
    bool knows = false;
    std::vector<std::string> made_of = {};
  };
  struct Found {
    std::optional<Entry> entry = {};
    bool stale = false;
  };

  static Who owner_of(const Asking& a) { return {a.model == "tiny" ? "tiny" : "permutation", a.tenant}; }
  static std::string surface_of(const Asking& a) { return a.model == "tiny" ? "completions" : "permutation"; }

  bool is_taught(const Asking& a) const {
    const auto found = taught.find(a.tenant);
    return found != taught.end() && found->second.contains(a.question);
  }
  bool recalls(const Asking& a) const { return is_taught(a) && (a.knows || a.model != "tiny"); }
  /// An engine is offered what may decide its answer; who names the domain has it in the key either way.
  std::string packs_of(const Asking& a) const {
    if (a.model == "tiny" && !a.knows) return "";
    if (is_taught(a)) return "acme@" + std::to_string(versions_.at(a.tenant));
    return a.model == "tiny" ? "acme@" : "";
  }

  Found look_up(const std::string& key, bool engine, const Who& who, double stale_s) {
    const auto missed = [&]() -> Found {
      Owned& of = owned[who];
      ++(engine ? of.engine : of.client).misses;
      return {};
    };
    const auto at = entries.find(key);
    if (at == entries.end()) return missed();
    Entry& entry = at->second;
    const bool over = !entry.live(now);
    const double since = over ? static_cast<double>(now - entry.stored) - *entry.ttl : 0;
    if (over && since > entry.stale) {
      ++owned[{entry.model, entry.tenant}].expired;
      entries.erase(at);
      return missed();
    }
    const bool brought = !std::exchange(entry.in_ram, true);
    if (over && since > stale_s) return missed();
    disk_hits += brought ? 1 : 0;
    Owned& of = owned[{entry.model, entry.tenant}];
    Lookups& counts = engine ? of.engine : of.client;
    ++counts.hits;
    entry.hits += engine ? 0 : 1;
    counts.stale += over ? 1 : 0;
    counts.tokens += entry.tokens;
    counts.usd += entry.usd;
    return {.entry = entry, .stale = over};
  }

  void store(const std::string& key, const Asking& a, const Made& made, bool engine = false) {
    const std::string model = engine ? made.model : owner_of(a).first;
    entries[key] = {.model = model,
                    .tenant = a.tenant,
                    .name_space = a.name_space,
                    .tag = a.tag,
                    .tokens = made.tokens,
                    .usd = made.usd,
                    .stored = now,
                    .ttl = a.ttl,
                    .stale = a.stale,
                    .knows = made.knows,
                    .made_of = made.made_of,
                    .digest = digest_of(key)};
    Owned& of = owned[{model, a.tenant}];
    ++(engine ? of.engine : of.client).stores;
  }

  Made computed(const Asking& a, const std::string& model, bool recalling) {
    const std::int64_t words = answer_tokens(a.question);
    const bool knows = recalling && recalls(a);
    if (knows) ++facts_recalled[surface_of(a)];
    return {.tokens = kPromptTokens + words,
            .usd = price_of(model) * static_cast<double>(words),
            .model = model,
            .knows = knows};
  }
  Made compute(const Asking& a) {
    if (a.model == "tiny") return computed(a, "tiny", true);
    if (a.model == "alone") return computed(a, "small", true);
    Made sum;
    Made last = stage(a, "small", packs_of(a), sum);
    if (!last.knows && !is_sure(a.question)) last = stage(a, "large", "", sum);
    if (sum.tokens == 0) sum.tokens = last.tokens;
    sum.made_of = last.made_of;
    return sum;
  }
  /// One model's part of an engine's answer. Adds to `sum` what was computed.
  Made stage(const Asking& a, const std::string& model, const std::string& packs, Made& sum) {
    const std::string key = "stage " + model + "|" + a.tenant + "|" + std::to_string(a.question) + "|" +
                            a.name_space + "|" + packs;
    if (!a.bypasses() && a.reads()) {
      if (const Found found = look_up(key, true, {model, a.tenant}, 0); found.entry) {
        count_use(a, found.entry->tokens);
        return {.tokens = found.entry->tokens,
                .usd = 0,
                .model = model,
                .knows = found.entry->knows,
                .made_of = {key}};
      }
    }
    Made made = computed(a, model, model == "small");
    sum.tokens += made.tokens;
    sum.usd += made.usd;
    if (a.bypasses()) return made;
    if (a.writes()) store(key, a, made, true);
    made.made_of = {key};
    return made;
  }

  void count_use(const Asking& a, std::int64_t tokens) {
    Uses& uses = cache_uses[surface_of(a)];
    ++uses.count;
    uses.tokens += tokens;
  }
  void count_answer(const Asking& a, const std::string& status, const Entry& entry) {
    Answers& of = answers[a.tenant];
    ++of.by_status[status];
    of.tokens_by_status[status] += entry.tokens;
    ++of.lookups;
    of.saved += entry.tokens;
    of.usd += entry.usd;
  }

  int lesson_ = 0;
  std::map<std::string, int> versions_;  // by tenant
};

}  // namespace pmt::app::counted
