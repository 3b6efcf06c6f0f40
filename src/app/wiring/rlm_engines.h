// The engines for long contexts, wired: `rlm` over the served models with the response cache in front, and
// `unified` over it and `permutation`. Thread-safety: built and stopped by one thread; what it serves from
// any.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/api.h"
#include "app/config/rlm_config.h"
#include "base/clock.h"
#include "inference/local_model.h"
#include "response_cache/cached_completer.h"

namespace pmt::app {

class RlmEngines {
 public:
  struct Parts {
    response_cache::ResponseCache* cache = nullptr;
    bool cache_enabled = true;
    base::UsageCounter* cache_usage = nullptr;
    std::vector<const inference::LocalModel*> local_models;
    std::map<std::string, nlohmann::json> versions;  // theirs: model_versions
    std::function<response_cache::Price(const std::string& model)> price;
    bool tenants = false;  // whether callers may be of several
  };
  /// After the models and `permutation` are in `served`: adds `rlm` and `unified`. Errors: kInvalidArgument,
  /// a root or leaf that isn't served; kUnavailable, a root that writes programs and no sandbox for them
  /// (says the ways out).
  static base::Result<std::unique_ptr<RlmEngines>> create(const RlmConfig& config, Parts parts,
                                                          std::map<std::string, api::ServedModel>& served,
                                                          const base::Clock& clock);
  ~RlmEngines();
  /// Ends what runs. Before the models go.
  void stop();
  /// Of `rlm`; null: it isn't served.
  rlm::Sessions* sessions() const { return rlm_ ? &rlm_->sessions() : nullptr; }

 private:
  RlmEngines() = default;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  std::unique_ptr<rlm::RecursiveLanguageModel> rlm_;
  std::vector<std::unique_ptr<llm::Completer>> completers_;  // in front of it
};

/// Where the sandbox's interpreter is installed.
std::string monty_home();

/// A served or loaded model, as RLM asks it. `local`: null for one elsewhere.
rlm::Model rlm_model(llm::Completer& completer, const std::string& name, const inference::LocalModel* local,
                     response_cache::Price price);

}  // namespace pmt::app
