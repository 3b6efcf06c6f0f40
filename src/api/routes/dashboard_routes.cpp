#include "api/routes/dashboard_routes.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "api/json/cache_entry_json.h"
#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/json/spending_json.h"
#include "api/routes/cache_figures.h"
#include "api/routes/cache_routes.h"
#include "api/routes/entry_list.h"
#include "base/version.h"
#include "dashboard/page.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using response_cache::Key;

constexpr std::size_t kPageSize = 20;

struct Query {
  std::string kind, text;
  std::string only;  // of requests: "": all
  std::size_t page = 0;
  bool fold = false;  // of cached answers
};

base::Result<Query> read_query(const Exchange& exchange) {
  Query query{.kind = std::string(exchange.request.query_value("kind")),
              .text = std::string(exchange.request.query_value("q")),
              .only = std::string(exchange.request.query_value("only"))};
  const std::string_view fold = exchange.request.query_value("fold");
  if (!fold.empty() && fold != "true" && fold != "false")
    return name_field(base::invalid("must be true or false", "fold"));
  query.fold = fold == "true";
  const std::string_view page = exchange.request.query_value("page");
  if (!page.empty()) {
    const auto [end, error] = std::from_chars(page.data(), page.data() + page.size(), query.page);
    if (error != std::errc() || end != page.data() + page.size() || query.page > 1'000'000)
      return name_field(base::invalid("must be a number from 0 to 1000000", "page"));
  }
  if (query.kind != "cache" && query.kind != "requests" && query.kind != "trajectories")
    return name_field(base::invalid("must be cache, requests or trajectories", "kind"));
  if (!query.only.empty() && query.only != "failed" && query.only != "memory" && query.only != "computed")
    return name_field(base::invalid("must be failed, memory or computed", "only"));
  return query;
}

void answer_page(const Exchange& exchange, const Query& query, std::size_t total, json items) {
  send_json(*exchange.responder, 200,
            to_text({{"kind", query.kind},
                     {"page", query.page},
                     {"page_size", kPageSize},
                     {"total", total},
                     {"items", std::move(items)}}));
}

void list_cache(const ApiOptions& options, const Exchange& exchange, const Query& query) {
  EntryList list;
  if (options.cache != nullptr)
    list = list_entries(*options.cache, *options.clock,
                        {.text = query.text, .page = query.page, .page_size = kPageSize, .fold = query.fold});
  send_json(*exchange.responder, 200,
            to_text({{"kind", query.kind},
                     {"page", query.page},
                     {"page_size", kPageSize},
                     {"total", list.entries},
                     {"lines", list.lines},
                     {"items", std::move(list.items)}}));
}

/// Not the dashboard's own polling.
bool is_shown(const RequestRecord& record) {
  return !record.route.starts_with("/v1/dashboard") && record.route != "/";
}

/// Whether it is one of those that `only` asks for.
bool belongs(const RequestRecord& record, const std::string& only) {
  if (only.empty()) return true;
  const auto& completion = record.completion;
  const bool failed = record.status >= 400 || (completion && !completion->completed);
  if (only == "failed") return failed;
  return completion && !failed && completion->computed() == (only == "computed");
}

bool is_trajectory(const RequestRecord& record) {
  if (!record.completion) return false;
  const json& engine = record.completion->report.engine;
  return engine.is_object() && (record.completion->model == "rlm" || record.completion->model == "unified") &&
         !engine.empty();
}

void list_requests(const RecentRequests& recent, const Exchange& exchange, const Query& query) {
  const bool trajectories = query.kind == "trajectories";
  std::size_t total = 0;
  json items = json::array();
  for (const auto& record : recent.latest()) {
    if (!is_shown(*record) || (trajectories && !is_trajectory(*record))) continue;
    if (!belongs(*record, query.only)) continue;
    if (!query.text.empty() && !holds_text(record_json(*record), query.text)) continue;
    if (total / kPageSize == query.page) items.push_back(record_json(*record));
    ++total;
  }
  answer_page(exchange, query, total, std::move(items));
}

void flag_false_hit(const ApiOptions& options, const Exchange& exchange) {
  constexpr std::string_view kEnd = "/false_hit";
  if (options.cache == nullptr || !exchange.tail.ends_with(kEnd))
    return send_error(*exchange.responder, {base::Code::kNotFound, "There is no such entry here."});
  const auto key = Key::of_hex(exchange.tail.substr(0, exchange.tail.size() - kEnd.size()));
  const auto entry = key ? seen_by(*options.cache, *exchange.caller, *key) : nullptr;
  if (entry == nullptr) {
    return send_error(*exchange.responder,
                      {base::Code::kNotFound, "The cache holds no live entry under this key.", "key"});
  }
  options.cache->purge_answer(*key, entry);
  options.cache->count_flagged(*entry);
  send_json(
      *exchange.responder, 200,
      to_text({{"key", key->hex()}, {"deleted", true}, {"false_hits", options.cache->stats().flagged}}));
}

}  // namespace

std::string dashboard_snapshot(const ApiOptions& options, const DashboardSources& sources) {
  constexpr std::size_t kShown = 15;
  json out{{"t_ms", base::ms_between(base::Nanos(0), options.clock->now())},
           {"version", base::kVersion},
           {"kv", json::array()},
           {"models", json::array()},
           {"latency", sources.recent.percentiles()},
           {"callers", sources.metrics.callers()},
           {"requests", json::array()}};
  if (options.kv_stats) out["kv"] = options.kv_stats()["models"];
  for (const auto& [name, model] : options.models) {
    if (!model.residency) continue;
    out["models"].push_back(model.residency());
    out["models"].back()["id"] = name;
  }
  if (options.cache != nullptr) out["cache"] = cache_figures(options, sources.tenants);
  if (options.meter != nullptr)
    out["provider"] = spending_json(*options.meter, sources.access.budgets(), std::nullopt);
  if (options.audit) out["audit"] = audit::to_json(options.audit());
  for (const auto& record : sources.recent.latest()) {
    if (out["requests"].size() >= kShown) break;
    if (!record->completion) continue;
    json item = record_json(*record);
    item["completion"].erase("engine");  // long; the list has it
    out["requests"].push_back(std::move(item));
  }
  return to_text(out);
}

void add_dashboard_routes(Router& router, const ApiOptions& options, dashboard::Feed& feed,
                          const RecentRequests& recent, Background& background) {
  router.add("GET", "/", [](const Exchange& exchange) { exchange.responder->send(dashboard::page()); });
  router.add("GET", "/v1/dashboard/events", [&feed, &access = router.access()](const Exchange& exchange) {
    const auto allowed = [&access, caller = exchange.caller] {
      return access.still_has(*caller, Scope::kAdmin);
    };
    if (!feed.listen(exchange.responder, allowed))
      send_error(*exchange.responder, {base::Code::kUnavailable, "Too many dashboards listen already."});
  });
  router.add("GET", "/v1/dashboard/items", [&options, &recent](const Exchange& exchange) {
    const base::Result<Query> query = read_query(exchange);
    if (!query) return send_error(*exchange.responder, query.error());
    if (query->kind == "cache") return list_cache(options, exchange, *query);
    list_requests(recent, exchange, *query);
  });
  router.add("POST", "/v1/cache/entries/{key}", [&options, &background](const Exchange& exchange) {
    const bool taken = background.run([&options, exchange] { flag_false_hit(options, exchange); });
    if (!taken)
      send_error(*exchange.responder, {base::Code::kUnavailable, "Too many purges wait: try again."});
  });
}

}  // namespace pmt::api
