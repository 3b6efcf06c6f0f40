// The models that come on demand, wired: those of [models] dir and each [[model]] with load = "first_use",
// the response cache in front of each.
//
//   client -> FileStamp -> CachedCompleter -> MeteredCompleter -> OnDemandCompleter -> engine::ModelHost
//
// Thread-safety: built and ended by one thread; what it serves from any.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/api.h"
#include "app/config/config.h"
#include "app/config/price_book.h"
#include "base/clock.h"
#include "base/result.h"
#include "engine/model_host.h"
#include "inference/local_model.h"
#include "llm/meter.h"
#include "response_cache/response_cache.h"
#include "response_cache/semantic/semantic_tier.h"

namespace pmt::app {

class ModelsOnDemand {
 public:
  struct Parts {
    response_cache::ResponseCache& cache;
    bool cache_enabled = true;
    base::UsageCounter* cache_usage = nullptr;
    const PriceBook& prices;
    llm::Meter& meter;
    response_cache::SemanticTier* semantic = nullptr;
    std::int64_t bytes_elsewhere = 0;  // of models that are always loaded
  };
  /// What there is to serve: `first_use`, then the folder's, but for names that are `taken`. Errors: the
  /// folder can't be read.
  static base::Result<std::vector<inference::LocalModelOptions>> find(
      const ModelsConfig& config, std::vector<inference::LocalModelOptions> first_use,
      std::set<std::string> taken);

  ModelsOnDemand(const ModelsConfig& config, std::vector<inference::LocalModelOptions> models, Parts parts,
                 const base::Clock& clock);

  /// Adds the models, and what loads and unloads them.
  void serve(api::ApiOptions& options);
  bool has(const std::string& name) const { return host_.has(name); }
  /// Of those that are loaded.
  void add_kv_stats(nlohmann::json& models) const;
  /// Of all.
  void add_samples(std::vector<api::EngineSample>& samples);

  /// As the host's, in this order.
  void stop_lending() { host_.stop_lending(); }
  void close() { host_.close(); }

 private:
  llm::Completer& completer_for(const std::string& name);
  nlohmann::json residency(const std::string& name);

  const Parts parts_;
  const base::Clock& clock_;
  const std::map<std::string, nlohmann::json> settings_;  // by model: answer_settings
  engine::ModelHost host_;
  std::vector<std::unique_ptr<llm::Completer>> completers_;
};

}  // namespace pmt::app
