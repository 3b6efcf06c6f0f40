#include "app/wiring/rlm_engines.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/wiring/root_record.h"
#include "engine/home.h"
#include "inference/structured_output.h"
#include "permutation/engine.h"
#include "rlm/rlm_request.h"
#include "rlm/tables_program.h"

namespace pmt::app {
namespace {

/// Says on whose behalf before the cache makes its key and counts its hits.
class OnBehalf final : public llm::Completer {
 public:
  OnBehalf(llm::Completer& inner, bool cache_enabled) : inner_(inner), cache_enabled_(cache_enabled) {}
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    if (request.surface != base::Surface::kUnified) request.surface = base::Surface::kRlm;
    if (!cache_enabled_ || rlm::is_in_session(request)) request.cache.mode = llm::CacheMode::kOff;
    inner_.start(std::move(request), std::move(sink), std::move(cancel));
  }

 private:
  llm::Completer& inner_;
  const bool cache_enabled_;
};

using Served = std::map<std::string, api::ServedModel>;

base::Result<rlm::Model> named_model(const char* key, const std::string& name, const RlmEngines::Parts& parts,
                                     const Served& served) {
  const auto found = served.find(name);
  if (found == served.end() || name == permutation::kModelName) {
    return base::invalid(fmt::format("[rlm] {} = \"{}\": no such model is served", key, name), key);
  }
  if (found->second.on_demand) {
    return base::invalid(
        fmt::format("[rlm] {} = \"{}\": it comes on demand, and the engine needs models that are "
                    "loaded at the start (load = \"start\" in a [[model]])",
                    key, name),
        key);
  }
  const auto local =
      std::ranges::find_if(parts.local_models, [&](const auto* m) { return m->info().name == name; });
  return rlm_model(*found->second.completer, name, local == parts.local_models.end() ? nullptr : *local,
                   parts.price ? parts.price(name) : nullptr);
}

base::Error no_sandbox(const std::string& root, const base::Error& why) {
  return {
      base::Code::kUnavailable,
      fmt::format(
          "{} would write programs for `rlm`, and {}. Make one of them work, or set [rlm] enabled = false",
          root, why.message)};
}

}  // namespace

std::string monty_home() {
  return (engine::home_dir() / "sandbox" / "pydantic-monty-1.4.0").string();
}

rlm::Model rlm_model(llm::Completer& completer, const std::string& name, const inference::LocalModel* local,
                     response_cache::Price price) {
  rlm::Model model{.completer = &completer, .name = name};
  if (local != nullptr) {
    model.tokenizer = local;
    model.context_tokens = local->info().context_tokens;
    model.parameters = local->info().parameters;
    model.trials = known_trials(local->info().path);
    model.check_form = [](const llm::Request& request) -> base::Status {
      TRY(inference::structured_output(request));
      return {};
    };
  }
  if (price) {
    model.price = [price = std::move(price)](const llm::Usage& usage) {
      return price(llm::Request{}, usage);
    };
  }
  return model;
}

base::Result<std::unique_ptr<RlmEngines>> RlmEngines::create(const RlmConfig& config, Parts parts,
                                                             Served& served, const base::Clock& clock) {
  std::unique_ptr<RlmEngines> engines(new RlmEngines());
  if (!config.enabled) return engines;
  if (parts.local_models.empty() && (config.root.empty() || config.leaf.empty())) return engines;
  const std::string first = parts.local_models.empty() ? "" : parts.local_models[0]->info().name;
  rlm::RlmOptions options{.bounds = config.bounds,
                          .kv_ratio = config.kv_ratio,
                          .speculation = config.speculation,
                          .running_max = config.running_max,
                          .tenant_max = config.running_tenant_max,
                          .tenants = parts.tenants,
                          .budget = config.budget,
                          .sessions = config.sessions,
                          .trajectory_dir = config.trajectory_dir,
                          .on_warning = [](const std::string& text) { spdlog::warn(text); }};
  TRY_ASSIGN(options.root, named_model("root", config.root.empty() ? first : config.root, parts, served));
  TRY_ASSIGN(options.leaf, named_model("leaf", config.leaf.empty() ? first : config.leaf, parts, served));
  const std::string about = fmt::format("root {}, leaves {}", options.root.name, options.leaf.name);

  if (!rlm::writes_no_programs(options.root)) {
    sandbox::SandboxOptions wanted = config.sandbox;
    wanted.tenants = parts.tenants;
    wanted.monty_home = monty_home();
    auto sandbox = sandbox::Sandbox::open(wanted);
    if (!sandbox) return no_sandbox(options.root.name, sandbox.error());
    engines->sandbox_ = std::move(*sandbox);
    spdlog::info("rlm: {}, programs by {} in {}", about, options.root.name,
                 to_string(engines->sandbox_->kind()));
  }
  options.sandbox = engines->sandbox_.get();

  nlohmann::json models = nlohmann::json::object();
  for (const auto& [name, decided] : parts.versions) {
    if (name == options.root.name || name == options.leaf.name) models[name] = decided;
  }
  const nlohmann::json versions = {
      {"root", options.root.name},        {"leaf", options.leaf.name},
      {"models", std::move(models)},      {"kv_ratio", config.kv_ratio},
      {"depth", config.bounds.depth_max}, {"iterations", config.bounds.iterations_max}};
  const rlm::Model root = options.root, leaf = options.leaf;
  engines->rlm_ = std::make_unique<rlm::RecursiveLanguageModel>(std::move(options), clock);
  auto& completers = engines->completers_;
  completers.push_back(std::make_unique<response_cache::CachedCompleter>(
      *engines->rlm_, *parts.cache, clock,
      response_cache::CachedCompleterOptions{
          .model = rlm::kModelName,
          .versions = versions,
          .price = leaf.price ? response_cache::Price(
                                    [price = leaf.price](const llm::Request&, const llm::Usage& usage) {
                                      return price(usage);
                                    })
                              : nullptr,
          .usage = parts.cache_usage}));
  completers.push_back(std::make_unique<OnBehalf>(*completers.back(), parts.cache_enabled));
  llm::Completer& rlm = *completers.back();
  // What the leaves were taught, every call of the tree knows.
  knowledge_cache::Library* const taught = served.at(leaf.name).knowledge;
  served[rlm::kModelName] = {.completer = &rlm,
                             .knowledge = taught,
                             .description = "RecursiveLanguageModel: " + about,
                             .created_unix_s = clock.unix_seconds(),
                             .engine = true,
                             .thinks = served.at(root.name).thinks || served.at(leaf.name).thinks};
  const auto permutation = served.find(permutation::kModelName);
  if (permutation != served.end() && !parts.local_models.empty()) {
    completers.push_back(std::make_unique<pipeline::UnifiedPipeline>(
        pipeline::UnifiedPipeline::Engines{.permutation = *permutation->second.completer,
                                           .rlm = rlm,
                                           .tokenizer = *parts.local_models[0],
                                           .given_context = rlm::given_context,
                                           .asks_tables = rlm::asks_tables,
                                           .only_rlm = rlm::only_rlm},
        config.unified));
    // One pack's version means nothing to another model: only where both routes ask the same one.
    const bool same = permutation->second.knowledge == taught;
    served[pipeline::kModelName] = {.completer = completers.back().get(),
                                    .knowledge = same ? taught : nullptr,
                                    .description = "unified pipeline: permutation, or rlm for long contexts",
                                    .created_unix_s = clock.unix_seconds(),
                                    .forwards = permutation->second.forwards,
                                    .engine = true,
                                    .thinks = permutation->second.thinks || served.at(rlm::kModelName).thinks,
                                    .native = permutation->second.native};
  }
  return engines;
}

RlmEngines::~RlmEngines() {
  stop();
}

void RlmEngines::stop() {
  if (rlm_) rlm_->stop();
}

}  // namespace pmt::app
