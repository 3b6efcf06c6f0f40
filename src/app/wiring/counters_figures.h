// The figures that a server shows, as paths and numbers: those read, and those that must be.
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/wiring/counters_oracle.h"

namespace pmt::app::counted {

using Figures = std::map<std::string, double>;

/// Every number of an object, by its path.
inline void flatten(const nlohmann::json& value, const std::string& path, Figures& out) {
  if (value.is_number()) out[path] = value.get<double>();
  if (!value.is_object()) return;
  for (const auto& [name, inner] : value.items()) flatten(inner, path + "/" + name, out);
}

/// "name{labels}" with the labels of the three that cache counters are told by, summed over all others.
inline Figures samples(const std::string& text, const std::vector<std::string>& labels) {
  Figures out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const auto end = line.find_first_of("{ ");
    std::string name = line.substr(0, end);
    for (const std::string& label : labels) {
      const auto at = line.find(label + "=\"");
      if (at == std::string::npos) continue;
      const auto begin = at + label.size() + 2;
      name += " " + line.substr(begin, line.find('"', begin) - begin);
    }
    out[name] += std::stod(line.substr(line.rfind(' ')));
  }
  return out;
}

inline double rate(double part, double whole) {
  return whole == 0 ? 0 : part / whole;
}

inline void add_lookups(const Lookups& counts, const std::string& path, Figures& out) {
  const auto real = [](std::int64_t count) { return static_cast<double>(count); };
  const std::int64_t lookups = counts.hits + counts.misses;
  out[path + "/lookups"] = real(lookups);
  out[path + "/hits/exact"] = real(counts.hits - counts.stale);
  out[path + "/hits/semantic"] = 0;
  out[path + "/hits/stale"] = real(counts.stale);
  out[path + "/hits/coalesced"] = 0;
  out[path + "/misses"] = real(counts.misses);
  out[path + "/hit_rate"] = rate(real(counts.hits), real(lookups));
  out[path + "/tokens_saved"] = real(counts.tokens);
  out[path + "/usd_saved"] = counts.usd;
  out[path + "/stores"] = real(counts.stores);
}
inline void add(Lookups& sum, const Lookups& more) {
  sum.hits += more.hits;
  sum.stale += more.stale;
  sum.misses += more.misses;
  sum.stores += more.stores;
  sum.tokens += more.tokens;
  sum.usd += more.usd;
}

inline Figures expected_of_operator(const Oracle& oracle) {
  Figures out;
  Owned sum;
  for (const auto& [who, of] : oracle.owned) {
    add(sum.client, of.client);
    add(sum.engine, of.engine);
    sum.refused += of.refused;
    sum.expired += of.expired;
    sum.purged += of.purged;
    sum.flagged += of.flagged;
  }
  add_lookups(sum.client, "", out);
  add_lookups(sum.engine, "/engine_calls", out);
  std::int64_t in_ram = 0, saved = 0, computed = 0;
  for (const auto& [key, entry] : oracle.entries) in_ram += entry.in_ram ? 1 : 0;
  for (const auto& [tenant, of] : oracle.answers) {
    saved += of.saved;
    computed += of.computed;
  }
  const auto kept = static_cast<double>(oracle.entries.size());
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, double>>{
           {"/refused", static_cast<double>(sum.refused)},
           {"/evictions", 0.0},
           {"/expired", static_cast<double>(sum.expired)},
           {"/purged", static_cast<double>(sum.purged)},
           {"/false_hits", static_cast<double>(sum.flagged)},
           {"/entries", kept},
           {"/disk/entries", kept},
           {"/ram/entries", static_cast<double>(in_ram)},
           {"/disk/hits", static_cast<double>(oracle.disk_hits)},
           {"/token_hit_rate", rate(static_cast<double>(saved), static_cast<double>(saved + computed))}})
    out[name] = value;
  return out;
}

inline Figures expected_of_tenant(const Oracle& oracle, const std::string& tenant) {
  const auto found = oracle.answers.find(tenant);
  const Answers of = found == oracle.answers.end() ? Answers{} : found->second;
  Figures out;
  double hits = 0, live = 0;
  for (const char* status : {"hit", "semantic_hit", "coalesced", "stale", "miss", "bypass"}) {
    const auto count = of.by_status.find(status);
    out[std::string("/answers/") + status] =
        count == of.by_status.end() ? 0 : static_cast<double>(count->second);
  }
  hits = out["/answers/hit"] + out["/answers/stale"];
  for (const auto& [key, entry] : oracle.entries)
    live += entry.tenant == tenant && entry.live(oracle.now) ? 1 : 0;
  out["/entries"] = live;
  out["/lookups"] = static_cast<double>(of.lookups);
  out["/hit_rate"] = rate(hits, static_cast<double>(of.lookups));
  out["/token_hit_rate"] = rate(static_cast<double>(of.saved), static_cast<double>(of.saved + of.computed));
  out["/tokens_saved"] = static_cast<double>(of.saved);
  out["/usd_saved"] = of.usd;
  return out;
}

/// Of all that was asked since the start: the acts take less than a day.
inline Figures expected_of_history(const Oracle& oracle) {
  Figures out{{"/requests/semantic", 0}, {"/requests/shared", 0}, {"/requests/failed", 0}};
  for (const auto& [tenant, of] : oracle.answers) {
    for (const auto& [status, count] : of.by_status)
      out[status == "hit" || status == "stale" ? "/requests/exact" : "by models"] +=
          static_cast<double>(count);
    out["/tokens_saved"] += static_cast<double>(of.saved);
    out["/usd_saved"] += of.usd;
  }
  return out;
}

/// By model and tenant, in this order.
inline Figures expected_metrics(const Oracle& oracle) {
  Figures out;
  for (const auto& [who, of] : oracle.owned) {
    const auto set = [&, labels = " " + who.first + " " + who.second](const std::string& name, auto value) {
      out["permutation_response_cache_" + name + "_total" + labels] = static_cast<double>(value);
    };
    set("hits", of.client.hits);
    set("stale", of.client.stale);
    set("semantic", 0);
    set("misses", of.client.misses);
    set("coalesced", 0);
    set("stores", of.client.stores);
    set("tokens_saved", of.client.tokens);
    set("usd_saved", of.client.usd);
    set("engine_hits", of.engine.hits);
    set("engine_misses", of.engine.misses);
    set("engine_stores", of.engine.stores);
    set("engine_tokens_saved", of.engine.tokens);
    set("engine_usd_saved", of.engine.usd);
    set("refused", of.refused);
    set("evictions", 0);
    set("expired", of.expired);
    set("purged", of.purged);
    set("false_hits", of.flagged);
  }
  return out;
}

}  // namespace pmt::app::counted
