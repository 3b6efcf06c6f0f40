#include "api/routes/cache_routes.h"

#include <algorithm>
#include <functional>
#include <future>

#include <fmt/format.h>

#include "api/json/cache_entry_json.h"
#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/json/spending_json.h"
#include "api/routes/cache_figures.h"
#include "base/hex.h"
#include "base/json.h"
#include "response_cache/disk/disk_store.h"
#include "response_cache/store/entry_codec.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using response_cache::Filter;
using response_cache::InvalidationReport;
using response_cache::Key;
using response_cache::ResponseCache;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return base::hex_digit(c) >= 0; });
}

/// Where its figures are. Kept by reference.
struct CacheRouteSources {
  const ApiOptions& options;
  const TenantTallies& tenants;
  const Access& access;
};

void answer(const Exchange& exchange, const json& body) {
  send_json(*exchange.responder, 200, to_text(body));
}

void no_entry(const Exchange& exchange) {
  send_error(*exchange.responder,
             {base::Code::kNotFound, "The cache holds no live entry under this key.", "key"});
}

using EntryPtr = std::shared_ptr<const response_cache::Entry>;

/// Where `caller` keeps what it calls `text`. The operator's keys are plain; a tenant's can't meet another's.
Key own_key(const Caller& caller, std::string_view text) {
  if (caller.is_operator()) return key_of(text);
  const auto bytes = [](const base::Digest& digest) {
    return std::string(digest.bytes.begin(), digest.bytes.end());
  };
  return base::sha256(bytes(base::sha256(caller.tenant())) + bytes(base::sha256(text)));
}

EntryPtr if_seen(const Caller& caller, const EntryPtr& entry) {
  const bool seen = entry != nullptr && (caller.is_operator() || entry->meta.tenant == caller.tenant());
  return seen ? entry : nullptr;
}

using WhenFound = std::function<void(const Key&, const EntryPtr&)>;

/// The caller's own value: a lookup, which is counted.
void use_own(ResponseCache& cache, const Exchange& exchange, const Key& own, const WhenFound& done) {
  cache.find_everywhere(own, exchange.caller->tenant(), [own, exchange, done](const EntryPtr& entry) {
    done(own, if_seen(*exchange.caller, entry));
  });
}

/// What the caller may see by this name: its own entry, else the one whose digest it is, which is a look and counts
/// nothing. A digest that names nothing is taken for a look, too: nobody asked a model for it. Calls `done` once,
/// perhaps later and on another thread.
void find_entry(ResponseCache& cache, const Exchange& exchange, const WhenFound& done) {
  const Key own = own_key(*exchange.caller, exchange.tail);
  const auto shown = Key::of_hex(exchange.tail);
  if (!shown) return use_own(cache, exchange, own, done);
  cache.look(own, [&cache, own, exchange, done, key = *shown](const EntryPtr& mine) {
    if (if_seen(*exchange.caller, mine) != nullptr) return use_own(cache, exchange, own, done);
    cache.look(key,
               [exchange, done, key](const EntryPtr& other) { done(key, if_seen(*exchange.caller, other)); });
  });
}

void get_entry(ResponseCache& cache, const base::Clock& clock, const Exchange& exchange) {
  find_entry(cache, exchange, [exchange, &clock](const Key& key, const EntryPtr& entry) {
    if (entry == nullptr) return no_entry(exchange);
    answer(exchange, entry_json(key, *entry, clock.now()));
  });
}

void put_entry(ResponseCache& cache, const base::Clock&, const Exchange& exchange) {
  base::Result<PutEntry> entry = parse_entry(exchange.request.body);
  if (!entry) return send_error(*exchange.responder, entry.error());
  const Key key = own_key(*exchange.caller, exchange.tail);
  entry->options.tenant = exchange.caller->tenant();
  const base::Result<bool> stored = cache.store(key, {std::move(entry->value)}, std::move(entry->options));
  if (!stored) return send_error(*exchange.responder, stored.error());
  answer(exchange, {{"key", key.hex()}, {"stored", *stored}});
}

void delete_entry(ResponseCache& cache, const base::Clock&, const Exchange& exchange) {
  InvalidationReport applied;
  Key key = own_key(*exchange.caller, exchange.tail);
  bool gone = cache.purge(Filter::of_key(key), &applied) > 0 || applied.removed > 0;
  if (const auto shown = Key::of_hex(exchange.tail); !gone && shown) {
    key = *shown;
    const EntryPtr entry = seen_by(cache, *exchange.caller, key);
    // The operator's may be one whose life is over.
    if (entry != nullptr || exchange.caller->is_operator())
      gone = cache.purge_answer(key, entry, &applied) > 0 || applied.removed > 0;
  }
  if (!gone) return no_entry(exchange);
  json body = {{"key", key.hex()}, {"deleted", true}};
  if (cache.tiers().shared() != nullptr) body["shared"] = invalidation_json(applied);
  answer(exchange, body);
}

/// What the providers' prompt caches did and what was spent, of `tenant` or of all.
void add_provider(json& out, const CacheRouteSources& sources, const std::optional<std::string>& tenant) {
  if (sources.options.meter != nullptr)
    out["provider"] = spending_json(*sources.options.meter, sources.access.budgets(), tenant);
}

/// What one tenant may know: its own entries and what became of its own requests.
void show_tenant_stats(const CacheRouteSources& sources, const Exchange& exchange) {
  const ResponseCache& cache = *sources.options.cache;
  const std::string& tenant = exchange.caller->tenant();
  std::uint64_t entries = 0, bytes = 0;
  cache.visit({.tenant = tenant}, [&](const Key&, const response_cache::Entry& entry) {
    ++entries;
    bytes += entry.bytes;
  });
  const TenantTallies::Tally tally = sources.tenants.of(tenant);
  json answers;
  for (std::size_t i = 0; i < tally.by_status.size(); ++i)
    answers[llm::to_string(static_cast<llm::CacheStatus>(i))] = tally.by_status[i];
  json out = {{"tenant", tenant},
              {"entries", entries},
              {"bytes", bytes},
              {"answers", std::move(answers)},
              {"lookups", tally.lookups},
              {"hit_rate", tally.hit_rate()},
              {"token_hit_rate", tally.token_hit_rate()},
              {"tokens_saved", tally.tokens_saved},
              {"usd_saved", tally.usd_saved}};
  add_provider(out, sources, tenant);
  answer(exchange, out);
}

void show_stats(const CacheRouteSources& sources, const Exchange& exchange) {
  json figures = cache_figures(sources.options, sources.tenants);
  add_provider(figures, sources, std::nullopt);
  answer(exchange, figures);
}

base::Result<Filter> parse_filter(const Exchange& exchange) {
  Filter filter;
  if (!exchange.caller->is_operator()) filter.tenant = exchange.caller->tenant();
  for (const auto& [name, value] : exchange.request.query) {
    std::optional<std::string>* part = name == "tag"         ? &filter.tag
                                       : name == "model"     ? &filter.model
                                       : name == "namespace" ? &filter.name_space
                                       : name == "prefix"    ? &filter.key_prefix
                                                             : nullptr;
    // A misspelt filter must not purge everything.
    if (part == nullptr) {
      return name_field(
          base::invalid("is not a filter" + suggestion(name, {"tag", "model", "namespace", "prefix"}), name));
    }
    if (part->has_value()) return name_field(base::invalid("is given twice", name));
    if (value.empty()) return name_field(base::invalid("must not be empty", name));
    *part = value;
  }
  if (!filter.key_prefix) return filter;
  if (filter.key_prefix->size() > 64 || !is_hex(*filter.key_prefix)) {
    return name_field(base::invalid("must be the first hex digits of a key, at most 64", "prefix"));
  }
  for (char& c : *filter.key_prefix) c = static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
  return filter;
}

void purge(ResponseCache& cache, const base::Clock&, const Exchange& exchange) {
  const base::Result<Filter> filter = parse_filter(exchange);
  if (!filter) return send_error(*exchange.responder, filter.error());
  InvalidationReport applied;
  json body = {{"purged", cache.purge(*filter, &applied)}};
  if (cache.tiers().shared() != nullptr) body["shared"] = invalidation_json(applied);
  answer(exchange, body);
}

bool asks_for_prefixes(const Exchange& exchange) {
  return std::any_of(exchange.request.query.begin(), exchange.request.query.end(),
                     [](const auto& parameter) { return parameter.first == "prefixes"; });
}

/// Who isn't the operator wipes its own tenant's.
base::Result<PrefixWipe> parse_wipe(const Exchange& exchange) {
  PrefixWipe wipe;
  if (!exchange.caller->is_operator()) wipe.tenant = exchange.caller->tenant();
  for (const auto& [name, value] : exchange.request.query) {
    if (name == "prefixes") {
      if (value != "true") return name_field(base::invalid("must be true, or left out", name));
    } else if (name == "tenant") {
      if (!exchange.caller->is_operator() && value != exchange.caller->tenant())
        return base::Error{base::Code::kForbidden, "This needs a key with the scope admin."};
      wipe.tenant = value;
    } else if (name == "prefix") {
      constexpr std::size_t kDigitsMax = 64;
      if (value.empty() || value.size() > kDigitsMax || !is_hex(value)) {
        return name_field(
            base::invalid("must be the first hex digits of an answer's permutation.kv.prefix_key", name));
      }
      wipe.key_prefix = value;
    } else {
      return name_field(
          base::invalid("does not go with prefixes" + suggestion(name, {"tenant", "prefix"}), name));
    }
  }
  if (wipe.key_prefix)
    for (char& c : *wipe.key_prefix) c = static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
  return wipe;
}

void purge_prefixes(const ApiOptions& options, const Exchange& exchange) {
  const base::Result<PrefixWipe> wipe = parse_wipe(exchange);
  if (!wipe) return send_error(*exchange.responder, wipe.error());
  answer(exchange, {{"purged", options.wipe_prefixes(*wipe)}});
}

void export_entries(ResponseCache& cache, const base::Clock&, const Exchange& exchange) {
  const base::Result<Filter> filter = parse_filter(exchange);
  if (!filter) return send_error(*exchange.responder, filter.error());
  std::string lines;
  cache.visit(*filter, [&](const Key& key, const response_cache::Entry& entry) {
    lines += to_text(response_cache::outside_json(key, entry));
    lines += '\n';
  });
  exchange.responder->send({200, {{"content-type", "application/x-ndjson"}}, std::move(lines)});
}

/// Line by line: what is wrong is told with its line, the rest is taken.
void import_entries(ResponseCache& cache, const base::Clock&, const Exchange& exchange) {
  constexpr std::size_t kToldMax = 20;
  const std::string& body = exchange.request.body;
  std::uint64_t imported = 0, expired = 0, wrong = 0;
  std::string first_wrong;
  json told = json::array();
  std::size_t line = 0;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = std::min(body.find('\n', at), body.size());
    const std::string_view text = std::string_view(body).substr(at, end - at);
    at = end + 1;
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto taken = [&]() -> base::Result<bool> {
      const auto parsed = base::parse_json(text, {.depth_max = response_cache::kEntryDepthMax});
      if (!parsed) return base::invalid("is " + parsed.error().message);
      TRY_ASSIGN(auto entry, response_cache::read_outside(*parsed));
      return cache.restore(std::move(entry));
    }();
    if (taken) {
      ++(*taken ? imported : expired);
      continue;
    }
    if (++wrong == 1) first_wrong = fmt::format("Line {}: {}", line, taken.error().message);
    if (told.size() < kToldMax) told.push_back({{"line", line}, {"message", taken.error().message}});
  }
  if (wrong > 0 && imported + expired == 0) {
    return send_error(*exchange.responder, base::invalid("No line could be imported. " + first_wrong));
  }
  // On the disk before the next part comes: more would wait there than it holds back.
  if (cache.tiers().disk() != nullptr) {
    if (const base::Status done = cache.tiers().disk()->flush(); !done)
      return send_error(*exchange.responder, done.error());
  }
  answer(exchange,
         {{"imported", imported}, {"expired", expired}, {"rejected", wrong}, {"errors", std::move(told)}});
}

void flush(ResponseCache& cache, const base::Clock&, const Exchange& exchange) {
  if (cache.tiers().disk() == nullptr) {
    return send_error(*exchange.responder, {base::Code::kNotFound,
                                            "This server keeps its response cache in memory only: name a "
                                            "folder in the config, [cache] path."});
  }
  if (const base::Status done = cache.tiers().disk()->flush(); !done)
    return send_error(*exchange.responder, done.error());
  answer(exchange, {{"durable", true}, {"entries", cache.tiers().disk()->stats().entries}});
}

}  // namespace

std::shared_ptr<const response_cache::Entry> seen_by(ResponseCache& cache, const Caller& caller,
                                                     const Key& key) {
  const auto found = std::make_shared<std::promise<EntryPtr>>();
  cache.look(key, [found](const EntryPtr& entry) { found->set_value(entry); });
  return if_seen(caller, found->get_future().get());
}

Key key_of(std::string_view text) {
  std::string named = "entry\n";
  return base::sha256(named.append(text));
}

void add_cache_routes(Router& router, const ApiOptions& options, const TenantTallies& tenants,
                      Background& background) {
  const CacheRouteSources sources{options, tenants, router.access()};
  using Act = void (*)(ResponseCache&, const base::Clock&, const Exchange&);
  struct How {
    Background* elsewhere = nullptr;  // null: at once, on the I/O thread
    bool for_operator = false;
  };
  const auto add = [&](const char* method, const char* pattern, Act act, How how) {
    router.add(method, pattern, [&options, act, how](const Exchange& exchange) {
      if (options.cache == nullptr) {
        return send_error(*exchange.responder,
                          {base::Code::kNotFound, "This server runs without a response cache."});
      }
      if (how.for_operator && !exchange.caller->is_operator()) {
        return send_error(*exchange.responder,
                          {base::Code::kForbidden, "This needs a key with the scope admin."});
      }
      if (how.elsewhere == nullptr) return act(*options.cache, *options.clock, exchange);
      const bool taken =
          how.elsewhere->run([&options, act, exchange] { act(*options.cache, *options.clock, exchange); });
      if (taken) return;
      send_error(*exchange.responder,
                 {base::Code::kUnavailable, "Too many purges, exports and imports wait: try again."});
    });
  };
  add("GET", "/v1/cache/entries/{key}", get_entry, {});
  add("PUT", "/v1/cache/entries/{key}", put_entry, {});
  router.add("GET", "/v1/cache", [&options, sources](const Exchange& exchange) {
    if (options.cache == nullptr) {
      return send_error(*exchange.responder,
                        {base::Code::kNotFound, "This server runs without a response cache."});
    }
    if (!exchange.caller->is_operator()) return show_tenant_stats(sources, exchange);
    show_stats(sources, exchange);
  });
  // These read the whole disk, or wait for it or for other servers.
  add("DELETE", "/v1/cache/entries/{key}", delete_entry, {.elsewhere = &background});
  router.add("DELETE", "/v1/cache", [&options, &background](const Exchange& exchange) {
    const bool prefixes = asks_for_prefixes(exchange);
    if (prefixes ? !options.wipe_prefixes : options.cache == nullptr) {
      return send_error(
          *exchange.responder,
          {base::Code::kNotFound, prefixes ? "This server has no model of its own, so no prefixes."
                                           : "This server runs without a response cache."});
    }
    const bool taken = background.run([&options, prefixes, exchange] {
      prefixes ? purge_prefixes(options, exchange) : purge(*options.cache, *options.clock, exchange);
    });
    if (taken) return;
    send_error(*exchange.responder,
               {base::Code::kUnavailable, "Too many purges, exports and imports wait: try again."});
  });
  add("GET", "/v1/cache/export", export_entries, {.elsewhere = &background});
  add("POST", "/v1/cache/import", import_entries, {.elsewhere = &background, .for_operator = true});
  add("POST", "/v1/cache/flush", flush, {.elsewhere = &background, .for_operator = true});
}

}  // namespace pmt::api
