// permutation.h's functions over a response cache: an engine's own, or one that stands alone.
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <permutation/permutation.h>

#include "api/json/cache_entry_json.h"
#include "api/json/json_writer.h"
#include "api/routes/cache_routes.h"
#include "app/wiring/cache_tiers.h"
#include "embed/opened.h"
#include "embed/quiet_threads.h"

namespace pmt::embed {
namespace {

using response_cache::EntryPtr;
using response_cache::Key;
using response_cache::ResponseCache;

/// One that belongs to no engine.
struct OwnCache {
  explicit OwnCache(const app::Config& config) : cache(config.cache, clock) {
    app::open_disk(config, {}, cache);
    app::open_shared(config, cache, clock);
  }
  ~OwnCache() {
    if (cache.tiers().shared() != nullptr) cache.tiers().shared()->quiesce();
  }
  OwnCache(const OwnCache&) = delete;
  OwnCache& operator=(const OwnCache&) = delete;

  base::SystemClock clock;
  ResponseCache cache;
};

Key key_from(const permutation_key& key) {
  Key out;
  static_assert(sizeof out.bytes == sizeof key.bytes);
  std::memcpy(out.bytes.data(), key.bytes, sizeof key.bytes);
  return out;
}

permutation_cache* opened(std::shared_ptr<ResponseCache> cache) {
  const auto handle =
      std::make_shared<permutation_cache>(std::make_unique<OpenCache>(OpenCache{std::move(cache)}));
  keep(handle);
  return handle.get();
}

/// Null: the value is no text.
const std::string* text_in(const EntryPtr& entry) {
  const auto* json = std::get_if<nlohmann::json>(&entry->value.content);
  return json == nullptr ? nullptr : json->get_ptr<const std::string*>();
}

/// A value that isn't text, as the server shows it.
std::string shown(const Key& key, const EntryPtr& entry, base::Nanos now) {
  nlohmann::json whole = api::entry_json(key, *entry, now);
  return api::to_text(whole.contains("value") ? whole["value"] : whole);
}

permutation_text text_of_entry(const Key& key, const EntryPtr& entry, base::Nanos now) {
  const std::string* const text = text_in(entry);
  if (text == nullptr) return text_of(shown(key, entry, now));
  return {text->c_str(), text->size(), new std::shared_ptr<const void>(entry)};
}

std::string name_or_empty(const char* name) {
  return name == nullptr ? std::string() : std::string(name);
}

Failure read_options(const permutation_store_options* given, response_cache::StoreOptions& out) {
  if (given == nullptr) return {};
  if (given->size < sizeof *given)
    return bad("Set options.size to sizeof(permutation_store_options).", "size");
  if (given->tokens < 0 || !(given->usd >= 0) || !(given->seconds >= 0) || !(given->ttl_s >= 0))
    return bad("tokens, usd, seconds and ttl_s must not be below 0.", "options");
  out.tokens = given->tokens;
  out.usd = given->usd;
  out.compute_s = given->seconds;
  if (given->ttl_s > 0) out.ttl_s = given->ttl_s;
  out.model = name_or_empty(given->model);
  if (given->tag != nullptr) out.tags.emplace_back(given->tag);
  if (!api::is_utf8(out.model) || (given->tag != nullptr && !api::is_utf8(out.tags[0])))
    return bad("model and tag must be UTF-8.", "options");
  return {};
}

}  // namespace
}  // namespace pmt::embed

using namespace pmt::embed;  // NOLINT(google-build-using-namespace): the functions below are the interface

int permutation_cache_open(const char* config, size_t size, permutation_cache** cache,
                           permutation_error* error) {
  return answered(error, [&]() -> Failure {
    if (cache == nullptr || (config == nullptr && size > 0)) return bad("'cache' or 'config' is NULL.");
    *cache = nullptr;
    const auto read =
        library_config(size == 0 ? std::string_view() : std::string_view(config, size), "config");
    if (!read) return failure_of(read.error());
    const QuietThreads quiet;
    open_log(*read);
    const auto own = std::make_shared<OwnCache>(*read);
    *cache = opened({own, &own->cache});
    return {};
  });
}

int permutation_engine_cache(permutation_engine* engine, permutation_cache** cache,
                             permutation_error* error) {
  return answered(error, [&]() -> Failure {
    if (cache == nullptr) return bad("'cache' is NULL.");
    *cache = nullptr;
    const auto used = use(engine);
    if (!used) return closed();
    *cache = opened(used->cache());
    return {};
  });
}

int permutation_cache_close(permutation_cache* cache) {
  return answered(nullptr, [&]() -> Failure {
    if (in_callback()) return {PERMUTATION_REFUSED};
    return cache != nullptr && cache->close([](OpenCache&) {}) ? Failure{} : closed();
  });
}

permutation_key permutation_cache_key(const void* name, size_t size) {
  permutation_key out{};
  answered(nullptr, [&]() -> Failure {
    const std::string_view text =
        name == nullptr ? "" : std::string_view(static_cast<const char*>(name), size);
    const Key key = pmt::api::key_of(text);
    std::memcpy(out.bytes, key.bytes.data(), sizeof out.bytes);
    return {};
  });
  return out;
}

int permutation_cache_get(permutation_cache* cache, const permutation_key* key, permutation_entry* entry) {
  if (entry != nullptr) *entry = {};
  return answered(nullptr, [&]() -> Failure {
    if (key == nullptr || entry == nullptr) return {PERMUTATION_INVALID};
    const auto used = use(cache);
    if (!used) return {PERMUTATION_CLOSED};
    const Key wanted = key_from(*key);
    const EntryPtr found = used->cache->get(wanted);
    if (found == nullptr) return {PERMUTATION_NOT_FOUND};
    const pmt::base::Nanos now = used->clock.now();
    entry->value = text_of_entry(wanted, found, now);
    entry->tokens = found->meta.tokens;
    entry->usd = found->meta.usd;
    entry->age_s = std::chrono::duration<double>(now - found->stored_at).count();
    return {};
  });
}

int permutation_cache_read(permutation_cache* cache, const permutation_key* key, char* buffer,
                           size_t capacity, size_t* size) {
  return answered(nullptr, [&]() -> Failure {
    if (key == nullptr || size == nullptr || (buffer == nullptr && capacity > 0))
      return {PERMUTATION_INVALID};
    *size = 0;
    const auto used = use(cache);
    if (!used) return {PERMUTATION_CLOSED};
    const Key wanted = key_from(*key);
    const EntryPtr found = used->cache->get(wanted);
    if (found == nullptr) return {PERMUTATION_NOT_FOUND};
    std::string made;
    const std::string* text = text_in(found);
    if (text == nullptr) {
      made = shown(wanted, found, used->clock.now());
      text = &made;
    }
    *size = text->size();
    if (text->size() > capacity) return {PERMUTATION_TOO_LARGE};
    std::memcpy(buffer, text->data(), text->size());
    return {};
  });
}

int permutation_cache_store(permutation_cache* cache, const permutation_key* key, const char* value,
                            size_t size, const permutation_store_options* options, permutation_error* error) {
  return answered(error, [&]() -> Failure {
    if (key == nullptr || (value == nullptr && size > 0)) return bad("'key' or 'value' is NULL.");
    std::string text = size == 0 ? std::string() : std::string(value, size);
    if (!pmt::api::is_utf8(text))
      return bad("The value must be UTF-8: encode bytes, as base64 for example.", "value");
    pmt::response_cache::StoreOptions how;
    if (Failure wrong = read_options(options, how); wrong.code != PERMUTATION_OK) return wrong;
    const auto used = use(cache);
    if (!used) return closed();
    const auto stored = used->cache->store(key_from(*key), {nlohmann::json(std::move(text))}, std::move(how));
    return stored ? Failure{} : failure_of(stored.error());
  });
}

int permutation_cache_remove(permutation_cache* cache, const permutation_key* key) {
  return answered(nullptr, [&]() -> Failure {
    if (key == nullptr) return {PERMUTATION_INVALID};
    const auto used = use(cache);
    if (!used) return {PERMUTATION_CLOSED};
    const auto gone = used->cache->purge(pmt::response_cache::Filter::of_key(key_from(*key)));
    return {gone > 0 ? PERMUTATION_OK : PERMUTATION_NOT_FOUND};
  });
}

int permutation_cache_stats(permutation_cache* cache, permutation_text* json, permutation_error* error) {
  if (json != nullptr) *json = {};
  return answered(error, [&]() -> Failure {
    if (json == nullptr) return bad("'json' is NULL.");
    const auto used = use(cache);
    if (!used) return closed();
    nlohmann::json figures = pmt::api::stats_json(used->cache->stats());
    const auto kept = used->cache->tiers().kept();
    figures["entries"] = kept.entries;
    figures["bytes"] = kept.bytes;
    *json = text_of(pmt::api::to_text(figures));
    return {};
  });
}
