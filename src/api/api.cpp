#include "api/api.h"

#include <random>

#include "api/background.h"
#include "api/completions/completion_routes.h"
#include "api/completions/embedding_routes.h"
#include "api/completions/rerank_routes.h"
#include "api/messages/message_routes.h"
#include "api/observe/completion_metrics.h"
#include "api/observe/history_sampler.h"
#include "api/observe/metrics_route.h"
#include "api/observe/recent_requests.h"
#include "api/responses/response_routes.h"
#include "api/router.h"
#include "api/routes/cache_routes.h"
#include "api/routes/dashboard_routes.h"
#include "api/routes/history_routes.h"
#include "api/routes/knowledge_routes.h"
#include "api/routes/knowledge_worker.h"
#include "api/routes/model_routes.h"
#include "api/routes/rlm_session_routes.h"
#include "api/routes/semantic_routes.h"
#include "api/routes/status_routes.h"
#include "api/routes/token_routes.h"
#include "api/routes/upstream_routes.h"
#include "base/check.h"
#include "dashboard/feed.h"

namespace pmt::api {
namespace {

std::uint64_t system_random() {
  thread_local std::mt19937_64 generator(std::random_device{}());
  return generator();
}

ApiOptions completed(ApiOptions options) {
  CHECK(options.clock != nullptr);
  for (const auto& [name, model] : options.models) CHECK(model.completer != nullptr);
  for (const auto& [name, model] : options.embedders)
    CHECK(model.embedder != nullptr || model.forwarder != nullptr);
  if (!options.random) options.random = system_random;
  return options;
}

std::vector<std::string> names_of(const std::map<std::string, ServedModel>& models) {
  std::vector<std::string> names;
  for (const auto& [name, model] : models) names.push_back(name);
  return names;
}

}  // namespace

struct Api::Impl {
  explicit Impl(ApiOptions given)
      : options(completed(std::move(given))),
        metrics(names_of(options.models)),
        responses(options.responses, *options.clock),
        router({.clock = *options.clock,
                .random = options.random,
                .access = options.access,
                .observer = [this](const std::shared_ptr<const RequestRecord>& record) { observe(record); },
                .body_bytes_max = options.body_bytes_max}) {
    add_completion_routes(router, options);
    add_response_routes(router, options, responses);
    add_message_routes(router, options, tokenizing);
    add_embedding_routes(router, options);
    add_rerank_routes(router, options);
    add_token_routes(router, options, tokenizing);
    add_cache_routes(router, options, tenants, background);
    add_semantic_routes(router, options, background);
    add_knowledge_routes(router, options, knowledge);
    add_status_routes(router, options);
    add_model_routes(router, options);
    add_upstream_routes(router, options);
    add_rlm_session_routes(router, options);
    add_metrics_route(router, options, metrics, responses);
    add_history_route(router, history, sampler);
    if (options.dashboard) add_dashboard_routes(router, options, feed, recent, background);
  }

  void observe(const std::shared_ptr<const RequestRecord>& record) {
    metrics.observe(*record);
    tenants.observe(*record);
    // Polling and scraping would push out what people look for.
    if (record->completion || record->method != "GET" || record->status >= 400) recent.add(record);
    for (const RequestObserver& observer : options.observers) observer(record);
  }

  const ApiOptions options;
  CompletionMetrics metrics;
  TenantTallies tenants;
  RecentRequests recent;
  History history{*options.clock};
  HistorySampler sampler{history, options, tenants};
  ResponseStore responses;
  dashboard::Feed feed{{.snapshot = [this] {
    return dashboard_snapshot(options, {recent, metrics, tenants, router.access()});
  }}};
  Router router;
  // The last three: their jobs answer through what is above.
  KnowledgeWorker knowledge;
  Background background;
  VocabularyWorkers tokenizing;
};

Api::Api(ApiOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Api::~Api() {
  impl_->feed.close();  // it asks the router whether its listeners may still listen
}

std::vector<std::string> Api::routes() const {
  return impl_->router.routes();
}

void Api::set_keys(std::vector<KeyOptions> keys) {
  impl_->router.access().set_keys(std::move(keys));
}

History& Api::history() {
  return impl_->history;
}

void Api::close_streams() {
  impl_->feed.close();
}

void Api::stop() {
  impl_->knowledge.stop();
  impl_->background.stop();  // it may be asking a model
  impl_->tokenizing.stop();  // it reads a model's vocabulary
  impl_->sampler.stop();     // it reads the models' pools
}

net::Handler Api::handler() {
  return [router = &impl_->router](net::HttpRequest request, std::shared_ptr<net::Responder> responder) {
    router->handle(std::move(request), std::move(responder));
  };
}

}  // namespace pmt::api
