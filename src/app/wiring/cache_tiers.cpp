#include "app/wiring/cache_tiers.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "response_cache/disk/disk_store.h"
#include "response_cache/shared/redis_store.h"

namespace pmt::app {

void open_disk(const Config& config, const std::vector<std::string>& checker,
               response_cache::ResponseCache& cache) {
  if (!config.cache_enabled || config.cache_path.empty()) return;
  auto disk =
      response_cache::DiskStore::open({.path = config.cache_path,
                                       .bytes_max = config.cache_disk_bytes,
                                       .on_warning = [](const std::string& text) { spdlog::warn(text); },
                                       .checker = checker});
  if (!disk) {
    spdlog::warn("response cache: {}. Answers are kept in memory only", disk.error().message);
    return;
  }
  spdlog::info("response cache: {} entries in {}", (*disk)->stats().entries, config.cache_path);
  cache.tiers().set_disk(std::move(*disk));
}

void open_shared(const Config& config, response_cache::ResponseCache& cache, const base::Clock& clock) {
  if (!config.cache_enabled || !config.cache_shared) return;
  response_cache::RedisOptions options = *config.cache_shared;
  options.drop = [&cache](const response_cache::Filter& filter) { cache.tiers().purge(filter); };
  options.drop_if = [&cache](const auto& matches) { cache.tiers().purge_if(matches); };
  options.on_warning = [](const std::string& text) { spdlog::warn(text); };
  if (response_cache::DiskStore* const disk = cache.tiers().disk(); disk != nullptr) {
    options.state_file = config.cache_path + "/shared-state";
    options.settle = [disk] { return disk->flush().has_value(); };
  }
  spdlog::info("response cache: shared through Redis at {}, prefix {}", options.seed.text(), options.prefix);
  cache.tiers().set_shared(response_cache::open_redis(std::move(options), clock));
}

}  // namespace pmt::app
