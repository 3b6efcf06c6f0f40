#include "app/wiring/upstreams.h"

#include <random>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/config/cache_off.h"
#include "upstream/balanced_completer.h"
#include "upstream/fallback_completer.h"
#include "upstream/remote_forwarder.h"

namespace pmt::app {
namespace {

double random_fraction() {
  thread_local std::minstd_rand generator(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

/// What the cache's key says of who answers. Servers behind one name answer alike: which they are may change.
std::string cache_version(const UpstreamConfig& config) {
  return config.base_urls.empty() ? config.base_url : "several";
}

}  // namespace

base::Result<std::unique_ptr<Upstreams>> Upstreams::create(const std::vector<UpstreamConfig>& configs,
                                                           Options options, const base::Clock& clock) {
  std::unique_ptr<Upstreams> all(new Upstreams(configs, std::move(options), clock));
  for (const UpstreamConfig& config : all->configs_) TRY(all->add(config));
  return all;
}

Upstreams::~Upstreams() {
  stop();
}

base::Result<upstream::ServerPool*> Upstreams::add_pool(const UpstreamConfig& config,
                                                        net::AsyncClient& client) {
  if (config.base_urls.empty()) return static_cast<upstream::ServerPool*>(nullptr);
  for (const auto& pool : pools_) {
    if (pool->options().name != config.name) continue;
    return base::invalid(
        fmt::format("two [[upstream]] named {} have base_urls: put all models of like servers into one",
                    config.name),
        "base_urls");
  }
  const std::string& any =
      config.models.empty() ? config.embeddings.begin()->first : config.models.begin()->first;
  TRY_ASSIGN(const upstream::RemoteOptions remote, remote_options(config, any));
  for (const upstream::PoolServer& server : config.base_urls)
    spdlog::info("upstream {}: one of its servers is {}", config.name, server.text);
  upstream::ServerPoolOptions options{.name = config.name,
                                      .servers = config.base_urls,
                                      .choice = {.balance = config.balance},
                                      .cooldown = remote.cooldown,
                                      .retry_after_max_s = remote.retries.retry_after_max_s,
                                      .probe_interval_s = config.probe_interval_s,
                                      .api_key = remote.api_key,
                                      .on_change = [](const std::string& text) { spdlog::warn(text); }};
  pools_.push_back(std::make_unique<upstream::ServerPool>(std::move(options), client, clock_));
  return pools_.back().get();
}

base::Status Upstreams::add(const UpstreamConfig& config) {
  auto& client = clients_[config.ca_file];
  if (!client) {
    TRY_ASSIGN(client, net::AsyncClient::create({.ca_file = config.ca_file}));
  }
  TRY_ASSIGN(upstream::ServerPool* const pool, add_pool(config, *client));
  for (const auto& [served, own] : config.models) {
    TRY_ASSIGN(upstream::RemoteOptions remote_settings, remote_options(config, served));
    const std::string name = remote_settings.name;
    Model model{.remote = pool == nullptr ? upstream::RemoteCompleter::create(
                                                std::move(remote_settings), *client, clock_, random_fraction)
                                          : upstream::make_balanced_completer(remote_settings, *pool, *client,
                                                                              clock_, random_fraction),
                .helped = nullptr,
                .metered = nullptr,
                .cached = nullptr,
                .outer = nullptr,
                .config = &config};
    if (config.prompt_cache.any()) {
      model.helped = std::make_unique<upstream::PromptCacheHelper>(*model.remote, model.remote->options(),
                                                                   config.prompt_cache, clock_);
    }
    model.metered = std::make_unique<llm::MeteredCompleter>(
        model.helped ? *model.helped : *model.remote, *options_.meter,
        llm::MeteredCompleter::About{.model = name, .upstream = true, .cost = options_.cost(name)});
    if (options_.cache_enabled) {
      model.cached = std::make_unique<response_cache::CachedCompleter>(
          *model.metered, *options_.cache, clock_,
          response_cache::CachedCompleterOptions{
              .model = name,
              .versions = {{"upstream", cache_version(config)}, {"as", own}},
              .price = options_.price(name),
              .usage = options_.cache_usage,
              .semantic = options_.semantic,
              .key = {.forwards = true}});
    } else {
      model.cached = std::make_unique<CacheOff>(*model.metered);
    }
    spdlog::info("upstream {}: {} at {}{}", name, own, config.where(),
                 config.api_key_env.empty() ? "" : ", with the key in " + config.api_key_env);
    models_.emplace(name, std::move(model));
  }
  return add_embeddings(config, *client, pool);
}

base::Status Upstreams::add_embeddings(const UpstreamConfig& config, net::AsyncClient& client,
                                       upstream::ServerPool* pool) {
  for (const auto& [served, own] : config.embeddings) {
    TRY_ASSIGN(upstream::RemoteOptions settings, remote_options(config, served));
    const std::string name = settings.name;
    spdlog::info("upstream {}: {} at {}, for embeddings", name, own, config.where());
    embeddings_[name] = {
        .forwarder = pool == nullptr ? upstream::make_forwarder(std::move(settings), "/embeddings", client,
                                                                clock_, random_fraction)
                                     : upstream::make_balanced_forwarder(settings, "/embeddings", *pool,
                                                                         client, clock_, random_fraction),
        .own_name = own,
        .config = &config};
  }
  return {};
}

base::Status Upstreams::serve(std::map<std::string, api::ServedEmbedder>& served) const {
  for (const auto& [name, model] : embeddings_) {
    api::ServedEmbedder one{.embedder = nullptr,
                            .forwarder = model.forwarder.get(),
                            .description = fmt::format("{} at {}", model.own_name, model.config->where()),
                            .created_unix_s = clock_.unix_seconds(),
                            .owned_by = model.config->name,
                            .meta = {}};
    if (!served.emplace(name, std::move(one)).second)
      return base::invalid(fmt::format("the model {} is configured twice", name), "embeddings");
  }
  return {};
}

base::Status Upstreams::serve(std::map<std::string, api::ServedModel>& served) {
  for (auto& [name, model] : models_) {
    served[name] = {
        .completer = model.cached.get(),
        .description = fmt::format("{} at {}", model.remote->options().model, model.config->where()),
        .created_unix_s = clock_.unix_seconds(),
        .owned_by = model.config->name,
        .remote = true,
        .forwards = true,
        .native = {model.remote->options().api}};
  }
  for (auto& [name, model] : models_) {
    if (model.config->fallbacks.empty()) continue;
    std::vector<upstream::FallbackCompleter::Entry> entries{{name, model.cached.get()}};
    for (const std::string& other : model.config->fallbacks) {
      const auto found = models_.find(other);
      const auto local = served.find(other);
      if (local == served.end()) {
        return base::invalid(
            fmt::format("upstream {}: its fallback {} is not a served model", model.config->name, other),
            "fallbacks");
      }
      if (other == name) continue;
      const bool is_local = found == models_.end();
      entries.push_back({other, is_local ? local->second.completer : found->second.cached.get(), is_local});
    }
    model.outer = std::make_unique<upstream::FallbackCompleter>(std::move(entries));
    served[name].completer = model.outer.get();
  }
  return {};
}

std::optional<Upstreams::Remote> Upstreams::remote(const std::string& name) const {
  const auto found = models_.find(name);
  if (found == models_.end()) return std::nullopt;
  return Remote{.completer = found->second.metered.get(), .api = found->second.remote->options().api};
}

std::vector<api::EngineSample> Upstreams::samples() const {
  std::vector<api::EngineSample> out;
  const auto real = [](auto count) { return static_cast<double>(count); };
  for (const auto& [name, model] : models_) {
    const upstream::RemoteStats stats = model.remote->stats();
    out.push_back({.model = name,
                   .counters = {{"requests", real(stats.requests)},
                                {"completed", real(stats.completed)},
                                {"cancelled", real(stats.cancelled)},
                                {"failed", real(stats.failed)},
                                {"upstream_attempts", real(stats.attempts)},
                                {"upstream_retries", real(stats.retries)},
                                {"upstream_cooled", real(stats.cooled)},
                                {"prompt_tokens", real(stats.prompt_tokens)},
                                {"completion_tokens", real(stats.completion_tokens)}},
                   .gauges = {{"running", real(stats.running)},
                              {"waiting", real(stats.waiting)},
                              {"upstream_cooling_seconds", model.remote->cooling_s()}}});
  }
  return out;
}

std::vector<api::UpstreamServer> Upstreams::servers() const {
  std::vector<api::UpstreamServer> out;
  for (const auto& pool : pools_) {
    for (const upstream::ServerStatus& server : pool->status()) {
      out.push_back({.upstream = pool->options().name,
                     .balance = upstream::to_string(pool->options().choice.balance),
                     .url = server.url,
                     .down = server.down,
                     .draining = server.draining,
                     .down_s = server.down_s,
                     .in_flight = server.in_flight,
                     .requests = server.requests,
                     .failed = server.failed,
                     .probes = server.probes});
    }
  }
  return out;
}

base::Status Upstreams::set_draining(const std::string& upstream, const std::string& server,
                                     bool draining) const {
  std::string names;
  for (const auto& pool : pools_) {
    names += (names.empty() ? "" : ", ") + pool->options().name;
    if (pool->options().name == upstream) return pool->set_draining(server, draining);
  }
  return base::Error{base::Code::kNotFound,
                     names.empty() ? "No upstream here has several servers (base_urls)."
                                   : fmt::format("No upstream '{}' has several servers. Those that have: {}.",
                                                 std::string_view(upstream).substr(0, 64), names),
                     "upstream"};
}

void Upstreams::stop() {
  for (const auto& pool : pools_) pool->stop();
  for (const auto& [file, client] : clients_) {
    if (client) client->stop();
  }
}

}  // namespace pmt::app
