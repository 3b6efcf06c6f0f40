#include "app/wiring/service.h"

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "api/api.h"
#include "api/observe/request_log.h"
#include "api/observe/request_spans.h"
#include "app/commands/audit_rows.h"
#include "app/config/cache_off.h"
#include "app/config/price_book.h"
#include "app/wiring/cache_tiers.h"
#include "app/wiring/engine_options.h"
#include "app/wiring/model_choice.h"
#include "app/wiring/model_versions.h"
#include "app/wiring/models_on_demand.h"
#include "app/wiring/pinned_model.h"
#include "app/wiring/prefix_store.h"
#include "app/wiring/rlm_engines.h"
#include "app/wiring/state_file.h"
#include "app/wiring/status_json.h"
#include "app/wiring/upstreams.h"
#include "base/version.h"
#include "compression/self_test.h"
#include "engine/local_engine.h"
#include "inference/prompt_lookup.h"
#include "knowledge_cache/self_test.h"
#include "kv_cache/self_test.h"
#include "llm/meter.h"
#include "permutation/engine.h"
#include "response_cache/cached_completer.h"
#include "response_cache/self_test.h"
#include "response_cache/shared/shared_store.h"
#include "telemetry/otlp_exporter.h"
#include "upstream/usage_reader.h"

namespace pmt::app {

namespace {

using inference::LocalModel;
using response_cache::CachedCompleter;

void log_opened(const engine::TaughtModel& taught, double load_ms) {
  const inference::ModelInfo& info = taught.model->info();
  spdlog::info("loaded {} in {:.0f} ms: {}, {:.1f} M parameters, {} tokens of context", info.name, load_ms,
               info.architecture, static_cast<double>(info.parameters) / 1e6, info.context_tokens);
  for (const auto& domain : taught.library->list())
    spdlog::info("knowledge: {} knows {}, {} facts", info.name, domain.name, domain.facts);
}

/// Why none of the models has our pages; none: one does, or there is no model.
std::optional<std::string> pages_off(const std::vector<engine::TaughtModel>& models) {
  std::optional<std::string> why;
  for (const engine::TaughtModel& taught : models) {
    const std::string& elsewhere = taught.model->info().runs_elsewhere;
    if (elsewhere.empty()) return {};
    why = elsewhere;
  }
  return why;
}

std::function<void(llm::Request&)> settling(knowledge_cache::Library* library) {
  if (library == nullptr) return nullptr;
  return [library](llm::Request& request) { knowledge_cache::settle_knowledge(*library, request); };
}

}  // namespace

/// Members in the order in which they are built: each uses only those above it.
struct Service::Impl {
  Impl(const Config& given, ServiceParts given_parts, const base::Clock& the_clock)
      : config(given),
        parts(std::move(given_parts)),
        clock(the_clock),
        prices(given.prices),
        spending(the_clock),
        meter(the_clock,
              {.prompt_cache_usage = &prompt_cache_usage,
               .on_spent = [this](const std::string& key, double usd) { spending.add(key, usd); }}),
        cache(given.cache, the_clock) {}
  ~Impl() { stop(); }

  /// What keys have spent today is kept beside the response store.
  void open_spending();
  /// And what the page's curves are drawn from. After wire().
  void open_history();
  base::Status open_prefix_files();
  std::size_t wipe_prefixes(const api::PrefixWipe& wipe);
  base::Status open_engine();
  /// Of the models that come on demand, what there is.
  base::Status find_on_demand(std::vector<inference::LocalModelOptions> first_use);
  void open_on_demand();
  std::optional<inference::LocalEmbedderOptions> embedder_options();
  void count_usage(inference::LocalModelOptions& model);
  /// Puts the caches and the engines in front of the models, and the API in front of all.
  base::Status wire();
  base::Status wire_engine(api::ApiOptions& options);
  /// A local or an upstream's model without its cache. Errors: none of that name.
  base::Result<permutation::StageModel> stage_model(const std::string& model, const char* field) const;
  api::ServedModel serve(llm::Completer& completer, const LocalModel& model);
  /// A local model with the meter in front.
  llm::Completer& meter_of(const engine::TaughtModel& taught);
  /// What their tenants taught, so that it is counted from the start.
  void open_tenants(const std::vector<api::KeyOptions>& keys) const;
  void watch(api::ApiOptions& options);
  void stop();
  nlohmann::json kv_stats() const;
  std::vector<api::EngineSample> engine_samples() const;

  const Config config;
  const ServiceParts parts;
  const base::Clock& clock;
  PriceBook prices;
  base::UsageCounter cache_usage, compression_usage, speculation_usage, prefix_usage, prefix_disk_usage,
      knowledge_usage, prompt_cache_usage;
  api::DaySpending spending;
  std::unique_ptr<StateFile> spending_file;  // null: in memory only
  llm::Meter meter;
  response_cache::ResponseCache cache;
  kv_cache::PrefixWipes prefix_wipes;
  std::unique_ptr<kv_cache::PrefixFiles> prefix_files;  // null: none
  std::unique_ptr<engine::LocalEngine> local;           // the models, with what they were taught
  std::string no_embedder_because;
  std::unique_ptr<response_cache::SemanticTier> semantic;  // null without cache or embedder
  std::unique_ptr<Upstreams> upstreams;
  std::map<std::string, nlohmann::json> versions;  // of the local ones that stay: model_versions
  std::vector<inference::LocalModelOptions> found_on_demand;
  std::unique_ptr<ModelsOnDemand> on_demand;                              // null: none
  std::map<std::string, std::unique_ptr<PinnedModel>> pinned_models;      // the local ones that stay
  std::map<std::string, std::unique_ptr<llm::Completer>> metered_models;  // the same
  std::vector<std::unique_ptr<llm::Completer>> completers;                // in front of the models
  std::unique_ptr<telemetry::OtlpExporter> traces;                        // null: none
  std::unique_ptr<RlmEngines> rlm;
  std::unique_ptr<api::Api> api;
  std::unique_ptr<StateFile> history_file;  // null: in memory only
  std::string name;                         // of the first local model; "" without one
};

void Service::Impl::open_spending() {
  if (config.cache_path.empty()) return;
  std::error_code failed;  // told when it is written
  std::filesystem::create_directories(config.cache_path, failed);
  spending_file = std::make_unique<StateFile>(
      KeptState{.name = "what keys have spent today",
                .path = config.cache_path + "/spending.json",
                .bytes_max = 16U << 20,
                .state = [this] { return spending.state(); },
                .version = [this] { return spending.version(); },
                .restore = [this](std::string_view text) { return spending.restore(text); }});
}

base::Status Service::Impl::open_prefix_files() {
  TRY_ASSIGN(prefix_files, open_prefixes(config.prefixes, clock));
  return {};
}

/// Memory first: what a model has begun to read then leaves nothing behind, here or there.
std::size_t Service::Impl::wipe_prefixes(const api::PrefixWipe& wipe) {
  prefix_wipes.add(wipe.tenant);
  return prefix_files ? prefix_files->wipe({.tenant = wipe.tenant, .key_prefix = wipe.key_prefix}) : 0;
}

void Service::Impl::open_history() {
  if (config.cache_path.empty()) return;
  history_file = std::make_unique<StateFile>(
      KeptState{.name = "the page's history",
                .path = config.cache_path + "/history",
                .between = std::chrono::minutes(10),  // it changes all the time, and has some megabytes
                .bytes_max = 16U << 20,
                .state = [this] { return api->history().state(); },
                .version = [this] { return api->history().version(); },
                .restore = [this](std::string_view bytes) { return api->history().restore(bytes); }});
}

/// After the disk: what is void there must go before it is trusted.
/// A server without embeddings is still a server: whoever asks for one is told what is missing.
std::optional<inference::LocalEmbedderOptions> Service::Impl::embedder_options() {
  if (!config.embeddings.enabled) {
    no_embedder_because = "the config says [embeddings] enabled = false.";
    return {};
  }
  auto options = resolve_embedder(config.embeddings);
  if (options) return std::move(*options);
  no_embedder_because = options.error().message;
  spdlog::info("no embeddings: {}", no_embedder_because);
  return {};
}

base::Status Service::Impl::open_engine() {
  engine::LocalEngineOptions options{.embedder = embedder_options(),
                                     .knowledge = engine::KnowledgeOptions{.root = config.knowledge_path},
                                     .knowledge_usage = &knowledge_usage,
                                     .answers_while_learning = true,
                                     .on_loading =
                                         [](const inference::LocalModelOptions& model) {
                                           spdlog::info("loading {} from {}", model.name, model.path);
                                         },
                                     .on_opened = log_opened};
  std::vector<inference::LocalModelOptions> all, first_use;
  if (!config.models.empty() || (config.upstreams.empty() && config.on_demand.dir.empty())) {
    TRY_ASSIGN(all, resolve_models(config.models));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool lazy = i < config.models.size() && config.models[i].load == LoadWhen::kFirstUse;
    (lazy ? first_use : options.models).push_back(std::move(all[i]));
  }
  for (inference::LocalModelOptions& model : options.models) {
    count_usage(model);
    versions[model.name] = model_versions(model);
  }
  TRY_ASSIGN(local, engine::LocalEngine::open(std::move(options), clock));
  TRY(find_on_demand(std::move(first_use)));
  if (config.cache_enabled && local->embedder() != nullptr)
    semantic = std::make_unique<response_cache::SemanticTier>(
        *local->embedder(), cache, clock,
        response_cache::SemanticTier::Options{.index = {}, .shadow = config.semantic_shadow});
  return {};
}

void Service::Impl::count_usage(inference::LocalModelOptions& model) {
  model.compression_usage = &compression_usage;
  model.speculation_usage = &speculation_usage;
  model.prefix_usage = &prefix_usage;
  model.prefix_disk_usage = &prefix_disk_usage;
  model.prefix_files = prefix_files.get();
  model.prefix_wipes = &prefix_wipes;
}

base::Status Service::Impl::find_on_demand(std::vector<inference::LocalModelOptions> first_use) {
  std::set<std::string> taken{permutation::kModelName, rlm::kModelName, pipeline::kModelName};
  for (const engine::TaughtModel& taught : local->models()) taken.insert(taught.name);
  if (local->embedder() != nullptr) taken.insert(local->embedder()->name());
  TRY_ASSIGN(found_on_demand, ModelsOnDemand::find(config.on_demand, std::move(first_use), std::move(taken)));
  for (inference::LocalModelOptions& model : found_on_demand) count_usage(model);
  return {};
}

void Service::Impl::open_on_demand() {
  if (found_on_demand.empty()) return;
  std::int64_t bytes_elsewhere = 0;
  for (const engine::TaughtModel& taught : local->models()) bytes_elsewhere += bytes_reserved(*taught.model);
  on_demand = std::make_unique<ModelsOnDemand>(config.on_demand, std::move(found_on_demand),
                                               ModelsOnDemand::Parts{.cache = cache,
                                                                     .cache_enabled = config.cache_enabled,
                                                                     .cache_usage = &cache_usage,
                                                                     .prices = prices,
                                                                     .meter = meter,
                                                                     .semantic = semantic.get(),
                                                                     .bytes_elsewhere = bytes_elsewhere},
                                               clock);
}

api::ServedModel Service::Impl::serve(llm::Completer& completer, const LocalModel& model) {
  api::ServedModel served{.completer = &completer,
                          .created_unix_s = clock.unix_seconds(),
                          .thinks = model.info().thinks,
                          .vocabulary = &model,
                          .meta = model_meta(model.info()),
                          .counts_in = &model};
  if (model.info().runs_elsewhere.empty())
    served.calibration = [&model] { return calibration_json(model.calibration()); };
  if (!config.cache_enabled) {
    completers.push_back(std::make_unique<CacheOff>(completer));
    served.completer = completers.back().get();
  }
  return served;
}

llm::Completer& Service::Impl::meter_of(const engine::TaughtModel& taught) {
  auto& pinned = pinned_models[taught.name];
  pinned = std::make_unique<PinnedModel>(taught.completer(), *taught.model, clock);
  auto& place = metered_models[taught.name];
  place = std::make_unique<llm::MeteredCompleter>(
      *pinned, meter,
      llm::MeteredCompleter::About{.model = taught.name, .cost = prices.cost_of(taught.name)});
  return *place;
}

base::Status Service::Impl::wire() {
  api::ApiOptions options{.models = {},
                          .cache = config.cache_enabled ? &cache : nullptr,
                          .meter = &meter,
                          .clock = &clock,
                          .kv_stats = [this] { return kv_stats(); },
                          .engine_samples = [this] { return engine_samples(); }};
  if (inference::LocalEmbedder* const embedder = local->embedder(); embedder != nullptr) {
    options.embedders[embedder->name()] = {.embedder = embedder,
                                           .description = "Embeddings (POST /v1/embeddings)",
                                           .created_unix_s = clock.unix_seconds()};
  }
  options.embedders_off = no_embedder_because;
  if (prefix_files) options.prefix_files = [this] { return prefix_files_sample(prefix_files->stats()); };
  if (!local->models().empty() || !found_on_demand.empty())
    options.wipe_prefixes = [this](const api::PrefixWipe& wipe) { return wipe_prefixes(wipe); };
  options.semantic = semantic.get();
  for (const engine::TaughtModel& taught : local->models()) {
    completers.push_back(std::make_unique<CachedCompleter>(
        meter_of(taught), cache, clock,
        response_cache::CachedCompleterOptions{.model = taught.name,
                                               .versions = versions[taught.name],
                                               .price = prices.of(taught.name),
                                               .usage = &cache_usage,
                                               .semantic = semantic.get(),
                                               .settle_knowledge = settling(taught.library.get())}));
    options.models[taught.name] = serve(*completers.back(), *taught.model);
    options.models[taught.name].knowledge = taught.library.get();
    options.models[taught.name].read_passages =
        [&packs = taught.recalling->packs()](const std::string& tenant,
                                             const std::vector<std::string>& passages,
                                             const std::function<void(std::size_t, std::size_t)>& progress) {
          return packs.read(tenant, passages, progress);
        };
    options.models[taught.name].residency = [pinned = pinned_models[taught.name].get()] {
      return pinned->residency();
    };
  }
  open_on_demand();
  if (on_demand) on_demand->serve(options);
  TRY_ASSIGN(upstreams,
             Upstreams::create(config.upstreams,
                               {.cache = &cache,
                                .cache_enabled = config.cache_enabled,
                                .price = [this](const std::string& model) { return prices.of(model); },
                                .cost = [this](const std::string& model) { return prices.cost_of(model); },
                                .meter = &meter,
                                .cache_usage = &cache_usage,
                                .semantic = semantic.get()},
                               clock));
  options.upstream_servers = [this] { return upstreams->servers(); };
  options.drain_server = [this](const std::string& upstream, const std::string& url, bool draining) {
    return upstreams->set_draining(upstream, url, draining);
  };
  TRY(upstreams->serve(options.models));
  TRY(upstreams->serve(options.embedders));
  open_tenants(config.service.keys);
  TRY(wire_engine(options));
  const auto& models = local->models();
  if (!models.empty()) options.knowledge_model = models[0].name;
  if (!models.empty()) name = models[0].name;

  std::vector<const LocalModel*> local_models;
  for (const engine::TaughtModel& taught : models) local_models.push_back(taught.model.get());
  TRY_ASSIGN(rlm, RlmEngines::create(config.rlm,
                                     {.cache = &cache,
                                      .cache_enabled = config.cache_enabled,
                                      .cache_usage = &cache_usage,
                                      .local_models = std::move(local_models),
                                      .versions = versions,
                                      .price = [this](const std::string& model) { return prices.of(model); },
                                      .tenants = !config.service.keys.empty()},
                                     options.models, clock));
  if (auto* const sessions = rlm->sessions()) {
    options.rlm_sessions = [sessions](const std::string& tenant) {
      std::vector<api::RlmSession> all;
      for (const auto& one : sessions->list(tenant)) {
        all.push_back({.id = one.id,
                       .turns = one.turns,
                       .contexts = one.contexts,
                       .bytes = one.bytes,
                       .repl = one.repl,
                       .busy = one.busy,
                       .idle_s = one.idle_s});
      }
      return all;
    };
    options.rlm_sessions_sample = [sessions] { return rlm_sessions_sample(sessions->totals()); };
    options.end_rlm_session = [sessions](const std::string& tenant, const std::string& id) {
      return sessions->end(tenant, id);
    };
  }

  for (auto& [model_name, model] : options.models) {  // the engines: their prompts are local models' too
    if (!model.remote && !model.on_demand && model.counts_in == nullptr && !models.empty())
      model.counts_in = models[0].model.get();
  }
  // The self-tests run once, here: an audit asked for later must not cost more than reading counters.
  options.audit = [rows = audit_rows({.cache_enabled = config.cache_enabled,
                                      .rlm_enabled = config.rlm.enabled,
                                      .cache_self_test = response_cache::self_test(),
                                      .cache_usage = &cache_usage,
                                      .knowledge_self_test = knowledge_cache::self_test(),
                                      .knowledge_usage = &knowledge_usage,
                                      .compression_self_test = compression::self_test(),
                                      .compression_usage = &compression_usage,
                                      .pages_off = pages_off(models),
                                      .speculation_self_test = inference::prompt_lookup_self_test(),
                                      .speculation_usage = &speculation_usage,
                                      .prefix_self_test = kv_cache::prefix_self_test(),
                                      .prefix_usage = &prefix_usage,
                                      .prefix_disk = prefix_files != nullptr,
                                      .prefix_disk_usage = &prefix_disk_usage,
                                      .upstreams = !config.upstreams.empty(),
                                      .prompt_cache_self_test = upstream::usage_self_test(),
                                      .prompt_cache_usage = &prompt_cache_usage})] {
    return audit::build_audit(rows);
  };
  options.engine_options = engine_options();
  watch(options);
  api = std::make_unique<api::Api>(std::move(options));
  return {};
}

base::Result<permutation::StageModel> Service::Impl::stage_model(const std::string& model,
                                                                 const char* field) const {
  if (const engine::TaughtModel* taught = local->find(model); taught != nullptr) {
    return permutation::StageModel{
        .name = model, .completer = metered_models.at(model).get(), .price = prices.of(model)};
  }
  if (const auto remote = upstreams->remote(model)) {
    return permutation::StageModel{.name = model,
                                   .completer = remote->completer,
                                   .price = prices.of(model),
                                   .local = false,
                                   .api = remote->api};
  }
  const bool lazy = on_demand && on_demand->has(model);
  return base::invalid(
      fmt::format("[permutation] {} = \"{}\" {}", field, model,
                  lazy ? "comes on demand: the engine needs models that are loaded at the start "
                         "(load = \"start\" in a [[model]])"
                       : "is no model of this server"),
      field);
}

base::Status Service::Impl::wire_engine(api::ApiOptions& options) {
  permutation::CascadeOptions cascade = config.engine.cascade;
  const auto& models = local->models();
  const std::string student =
      config.engine.student.empty() && !models.empty() ? models[0].name : config.engine.student;
  if (!student.empty()) {
    TRY_ASSIGN(cascade.student, stage_model(student, "student"));
  }
  if (!config.engine.teacher.empty()) {
    TRY_ASSIGN(cascade.teacher, stage_model(config.engine.teacher, "teacher"));
  }
  if (student.empty() && config.engine.teacher.empty()) return {};
  cascade.response_cache_usage = &cache_usage;
  cascade.semantic = semantic.get();
  const engine::TaughtModel* const taught = local->find(student);  // null: another server's
  knowledge_cache::Library* const library = taught == nullptr ? nullptr : taught->library.get();
  if (library != nullptr)
    cascade.offer_knowledge = [library](llm::Request& request) {
      knowledge_cache::offer_knowledge(*library, request);
    };
  cascade.settle_knowledge = settling(library);
  for (const std::string& stage : {cascade.student.name, cascade.teacher.name}) {
    if (const auto own = versions.find(stage); own != versions.end()) cascade.versions[stage] = own->second;
  }
  const bool forwards = cascade.forwards();
  const std::vector<llm::Api> native{cascade.student.api, cascade.teacher.api};
  completers.push_back(std::make_unique<permutation::Engine>(std::move(cascade), cache, clock));
  api::ServedModel served{.completer = completers.back().get(),
                          .created_unix_s = clock.unix_seconds(),
                          .forwards = forwards,
                          .engine = true,
                          .thinks = taught != nullptr && taught->model->info().thinks,
                          .native = native,
                          .meta = {}};
  if (!models.empty()) served.meta = model_meta(models[0].model->info());
  served.knowledge = library;
  if (!config.cache_enabled) {
    completers.push_back(std::make_unique<CacheOff>(*completers.back()));
    served.completer = completers.back().get();
  }
  served.description =
      fmt::format("PermutationEngine: response cache, then {}{}{}", student,
                  student.empty() || config.engine.teacher.empty() ? "" : ", then ", config.engine.teacher);
  options.models[permutation::kModelName] = std::move(served);
  return {};
}

void Service::Impl::open_tenants(const std::vector<api::KeyOptions>& keys) const {
  for (const engine::TaughtModel& taught : local->models()) {
    for (const api::KeyOptions& key : keys) (void)taught.library->of_tenant(key.tenant);
  }
}

/// Who may call, and what is told of each request.
void Service::Impl::watch(api::ApiOptions& options) {
  const ServiceConfig& service = config.service;
  options.access = {.keys = service.keys,
                    .hosts = {.loopback_only = is_loopback(config.server.host),
                              .allowed = service.allowed_hosts,
                              .cors = service.cors},
                    .spending = &spending};
  options.body_bytes_max = config.server.body_bytes_max;
  options.responses = config.responses;
  options.dashboard = service.dashboard;
  options.keep_texts = service.log_prompts;
  options.observers.push_back(api::request_logger(service.request_log));
  if (service.otlp_endpoint.empty()) return;
  traces = std::make_unique<telemetry::OtlpExporter>(
      telemetry::OtlpOptions{.endpoint = service.otlp_endpoint,
                             .service_name = service.service_name,
                             .version = base::kVersion,
                             .on_warning = [](const std::string& text) { spdlog::warn(text); }});
  const std::int64_t offset_ns = std::chrono::duration_cast<base::Nanos>(
                                     std::chrono::system_clock::now().time_since_epoch() - clock.now())
                                     .count();
  options.observers.push_back([this, offset_ns](const std::shared_ptr<const api::RequestRecord>& record) {
    if (record->trace.sampled && record->method != "GET") traces->add(api::spans_of(*record, offset_ns));
  });
}

void Service::Impl::stop() {
  if (rlm) rlm->stop();
  if (on_demand) on_demand->stop_lending();  // the api may be waiting for a model
  if (api) api->stop();                      // a learning that runs needs what goes next
  history_file.reset();                      // after the last look at the counters
  if (local) local->stop_embedding();        // what waits for it goes on without, and ends with its model
  if (cache.tiers().shared() != nullptr) cache.tiers().shared()->quiesce();
  if (upstreams) upstreams->stop();
  if (on_demand) on_demand->close();
  if (local) local->close_models();
}

nlohmann::json Service::Impl::kv_stats() const {
  nlohmann::json all = nlohmann::json::array();
  for (const engine::TaughtModel& taught : local->models()) all.push_back(kv_json(*taught.model));
  if (on_demand) on_demand->add_kv_stats(all);
  nlohmann::json out = {{"models", std::move(all)}, {"prefix_files", nullptr}};
  if (prefix_files) out["prefix_files"] = prefix_files_json(prefix_files->stats());
  return out;
}

std::vector<api::EngineSample> Service::Impl::engine_samples() const {
  std::vector<api::EngineSample> samples;
  for (const engine::TaughtModel& taught : local->models()) {
    samples.push_back(engine_sample(*taught.model));
    add_knowledge_sample(*taught.library, taught.recalling->stats(), samples.back());
  }
  if (on_demand) on_demand->add_samples(samples);
  for (auto& sample : upstreams->samples()) samples.push_back(std::move(sample));
  return samples;
}

Service::Service(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Service::~Service() = default;

base::Result<std::unique_ptr<Service>> Service::open(const Config& config, ServiceParts parts,
                                                     const base::Clock& clock) {
  auto impl = std::make_unique<Impl>(config, std::move(parts), clock);
  open_disk(config, impl->parts.store_checker, impl->cache);
  impl->open_spending();
  open_shared(config, impl->cache, clock);
  TRY(impl->open_prefix_files());
  TRY(impl->open_engine());
  TRY(impl->wire());
  impl->open_history();
  return std::unique_ptr<Service>(new Service(std::move(impl)));
}

net::Handler Service::handler() {
  return impl_->api->handler();
}

response_cache::ResponseCache& Service::cache() {
  return impl_->cache;
}

const std::string& Service::model_name() const {
  return impl_->name;
}

void Service::reload(const Config& config) {
  impl_->prices.set(config.prices);
  impl_->open_tenants(config.service.keys);
  impl_->api->set_keys(config.service.keys);
}

void Service::close_streams() {
  impl_->api->close_streams();
}

void Service::stop() {
  impl_->stop();
}

}  // namespace pmt::app
