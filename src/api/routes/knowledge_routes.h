// Cache 2 over HTTP: GET /v1/knowledge, GET and DELETE /v1/knowledge/{domain}, POST
// /v1/knowledge/{domain}/facts (a job), GET /v1/knowledge/jobs/{id} (JSON, or SSE with Accept:
// text/event-stream), DELETE /v1/knowledge/{domain}/facts/{id}, GET /v1/knowledge/{domain}/export, POST
// /v1/knowledge/import. `?model=` says whose knowledge; without it the first local model's. Domains and jobs
// are the tenant's that the caller's key belongs to: no other tenant sees, uses or changes them. The operator's lists
// have all tenants', as those of answers have, and `?tenant=` says on whose it acts; without it on its own key's.
#pragma once

#include "api/api.h"
#include "api/router.h"
#include "api/routes/knowledge_worker.h"
#include "llm/request.h"

namespace pmt::api {

/// `options` and `worker` are kept by reference.
void add_knowledge_routes(Router& router, const ApiOptions& options, KnowledgeWorker& worker);

/// "model+acme+hr": the domains go to request.knowledge, unless a model has that very name.
void take_knowledge_of_name(const ApiOptions& options, llm::Request& request);

/// Requires request.tenant. Makes request.knowledge "domain@version", so that whatever is keyed by it is by
/// the pack's version too. Errors: kNotFound or kInvalidArgument under permutation.knowledge.
base::Status resolve_knowledge(const ServedModel& model, llm::Request& request);

nlohmann::json report_json(const knowledge_cache::LearnReport& report);
nlohmann::json domain_json(const knowledge_cache::DomainInfo& info);
nlohmann::json facts_json(const knowledge_cache::Domain& domain);

}  // namespace pmt::api
