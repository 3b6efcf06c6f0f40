// The dashboard over HTTP: the page at /, its event stream, its one paginated list.
//   GET /                      the page (public: it holds nothing)
//   GET /v1/dashboard/events   a snapshot a second, as server-sent events
//   GET /v1/dashboard/items    ?kind=cache|requests|trajectories &page=N &q=TEXT
//                              &only=failed|memory|computed, of requests
//   POST /v1/cache/entries/{key}/false_hit   somebody says that this answer was given for another question:
//                              the entry goes with all that would give its answer again, and the complaint is counted
#pragma once

#include <string>

#include "api/api.h"
#include "api/background.h"
#include "api/observe/completion_metrics.h"
#include "api/observe/recent_requests.h"
#include "api/router.h"
#include "dashboard/feed.h"

namespace pmt::api {

/// All are kept by reference.
void add_dashboard_routes(Router& router, const ApiOptions& options, dashboard::Feed& feed,
                          const RecentRequests& recent, Background& background);

/// What one event of the stream holds.
struct DashboardSources {
  const RecentRequests& recent;
  const CompletionMetrics& metrics;
  const TenantTallies& tenants;
  const Access& access;
};
std::string dashboard_snapshot(const ApiOptions& options, const DashboardSources& sources);

}  // namespace pmt::api
