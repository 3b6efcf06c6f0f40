#include "app/wiring/models_on_demand.h"

#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/config/cache_off.h"
#include "app/wiring/model_choice.h"
#include "app/wiring/model_versions.h"
#include "app/wiring/status_json.h"
#include "engine/models_folder.h"
#include "engine/on_demand_completer.h"
#include "response_cache/cached_completer.h"

namespace pmt::app {
namespace {

engine::ModelHostOptions host_options(const ModelsConfig& config,
                                      std::vector<inference::LocalModelOptions> models,
                                      std::int64_t bytes_elsewhere) {
  return {.models = std::move(models),
          .bytes_max = config.memory_bytes,
          .bytes_elsewhere = bytes_elsewhere,
          .idle_s = config.idle_s,
          .on_info = [](const std::string& text) { spdlog::info(text); },
          .on_warning = [](const std::string& text) { spdlog::warn(text); }};
}

/// What is known of a model that isn't loaded.
nlohmann::json header_json(const engine::ModelHeader& header) {
  return {{"architecture", header.architecture},
          {"context_tokens", header.context_tokens},
          {"parameters", header.parameters},
          {"file_bytes", header.file_bytes},
          {"chat_template", header.has_chat_template}};
}

std::map<std::string, nlohmann::json> settings_of(const std::vector<inference::LocalModelOptions>& models) {
  std::map<std::string, nlohmann::json> out;
  for (const inference::LocalModelOptions& model : models) out[model.name] = answer_settings(model);
  return out;
}

}  // namespace

base::Result<std::vector<inference::LocalModelOptions>> ModelsOnDemand::find(
    const ModelsConfig& config, std::vector<inference::LocalModelOptions> first_use,
    std::set<std::string> taken) {
  std::vector<inference::LocalModelOptions> out = std::move(first_use);
  if (config.dir.empty()) return out;
  const std::size_t named = out.size();
  for (const inference::LocalModelOptions& model : out) taken.insert(model.name);
  TRY_ASSIGN(const std::vector<engine::ModelFile> files, engine::models_in(config.dir));
  for (const engine::ModelFile& file : files) {
    if (!taken.insert(file.name).second) {
      spdlog::info("{} isn't served from {}: there is a model of that name already", file.path, config.dir);
      continue;
    }
    ModelConfig model = config.each;
    model.name = file.name;
    model.path = file.path;
    TRY_ASSIGN(inference::LocalModelOptions options, resolve_model(model));
    out.push_back(std::move(options));
  }
  spdlog::info("{} models of {} come on demand", out.size() - named, config.dir);
  return out;
}

ModelsOnDemand::ModelsOnDemand(const ModelsConfig& config, std::vector<inference::LocalModelOptions> models,
                               Parts parts, const base::Clock& clock)
    : parts_(parts),
      clock_(clock),
      settings_(settings_of(models)),
      host_(host_options(config, std::move(models), parts.bytes_elsewhere), clock) {}

llm::Completer& ModelsOnDemand::completer_for(const std::string& name) {
  const auto add = [this](std::unique_ptr<llm::Completer> one) -> llm::Completer& {
    completers_.push_back(std::move(one));
    return *completers_.back();
  };
  llm::Completer& model = add(std::make_unique<engine::OnDemandCompleter>(host_, name, clock_));
  llm::Completer& metered = add(std::make_unique<llm::MeteredCompleter>(
      model, parts_.meter, llm::MeteredCompleter::About{.model = name, .cost = parts_.prices.cost_of(name)}));
  if (!parts_.cache_enabled) return add(std::make_unique<CacheOff>(metered));
  llm::Completer& cached = add(std::make_unique<response_cache::CachedCompleter>(
      metered, parts_.cache, clock_,
      response_cache::CachedCompleterOptions{.model = name,
                                             .versions = settings_.at(name),
                                             .price = parts_.prices.of(name),
                                             .usage = parts_.cache_usage,
                                             .semantic = parts_.semantic}));
  return add(std::make_unique<engine::FileStamp>(cached, host_, name));
}

nlohmann::json ModelsOnDemand::residency(const std::string& name) {
  const engine::ModelStatus status = host_.status(name);
  nlohmann::json out = residency_json(status, false);
  if (!status.error.empty()) out["failure"] = {{"message", status.error}, {"retry_in_s", status.retry_s}};
  if (status.info) {
    out["meta"] = model_meta(*status.info);
  } else if (status.header) {
    out["meta"] = header_json(*status.header);
  }
  if (status.calibration && status.info && status.info->runs_elsewhere.empty())
    out["calibration"] = calibration_json(*status.calibration);
  return out;
}

void ModelsOnDemand::serve(api::ApiOptions& options) {
  for (const std::string& name : host_.names()) {
    options.models[name] = {
        .completer = &completer_for(name),
        .description = "Loaded by its first request",
        .created_unix_s = clock_.unix_seconds(),
        .residency = [this, name] { return residency(name); },
        .on_demand = true,
        .doing = [this, name] { return host_.doing(name); },
        .thinks_now =
            [this, name] {
              const auto info = host_.status(name).info;
              return !info || info->thinks;
            },
        .lend_vocabulary = [this, name](bool waits) -> base::Result<std::shared_ptr<const llm::Vocabulary>> {
          if (!waits) {
            const auto loaded = host_.loaded(name);
            return loaded ? loaded->model : nullptr;
          }
          TRY_ASSIGN(engine::ModelHost::Lease lease, host_.lend_now(name));
          return std::shared_ptr<const llm::Vocabulary>(std::move(lease.model));
        }};
  }
  options.set_loaded = [this](const std::string& name, bool load, std::function<void(base::Status)> done) {
    if (!load) return host_.unload(name, std::move(done));
    host_.lend(name, {.at_once = true},
               [done = std::move(done)](base::Result<engine::ModelHost::Lease> lease) {
                 base::Status loaded;
                 if (!lease) loaded = lease.error();
                 lease = base::Error{};  // given back: the answer shows the model as it is without us
                 done(std::move(loaded));
               });
  };
  options.model_memory = [this] {
    const engine::MemoryUse use = host_.memory();
    return api::ModelMemory{.bytes_reserved = use.bytes_reserved, .bytes_max = use.bytes_max};
  };
}

void ModelsOnDemand::add_kv_stats(nlohmann::json& models) const {
  for (const std::string& name : host_.names()) {
    if (const auto lease = host_.loaded(name)) models.push_back(kv_json(*lease->model));
  }
}

/// What an engine did counts on, also where it is unloaded: a counter must not go back.
void ModelsOnDemand::add_samples(std::vector<api::EngineSample>& samples) {
  for (const std::string& name : host_.names()) {
    const engine::ModelStatus status = host_.status(name);
    const auto lease = host_.loaded(name);
    const inference::KvPoolStats pool = lease ? lease->model->kv_stats() : inference::KvPoolStats();
    api::EngineSample sample = engine_sample(name, pool, host_.totals(name));
    const auto real = [](auto count) { return static_cast<double>(count); };
    sample.counters.insert(sample.counters.end(), {{"loads", real(status.loads)},
                                                   {"unloads", real(status.unloads)},
                                                   {"load_failures", real(status.load_failures)},
                                                   {"load_seconds", status.load_seconds}});
    sample.gauges.insert(sample.gauges.end(), {{"loaded", lease ? 1 : 0},
                                               {"resident_bytes", real(status.bytes)},
                                               {"reserved_bytes", real(status.bytes_reserved)},
                                               {"waiting_for_load", real(status.waiting)}});
    samples.push_back(std::move(sample));
  }
}

}  // namespace pmt::app
