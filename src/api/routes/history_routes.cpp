#include "api/routes/history_routes.h"

#include <algorithm>

#include "api/json/fields.h"
#include "api/json/json_writer.h"

namespace pmt::api {
namespace {

using nlohmann::json;

json requests_json(const HistorySlot& slot) {
  json out;
  for (std::size_t i = 0; i < kAnsweredBys; ++i)
    out[to_string(static_cast<AnsweredBy>(i))] = slot.requests[i];
  return out;
}

json or_null(const std::optional<double>& value) {
  return value ? json(*value) : json();
}

json total_json(const HistorySlot& slot) {
  return {
      {"requests", requests_json(slot)},
      {"ttft_ms",
       {{"p50", or_null(slot.first_token.quantile(0.5))}, {"p95", or_null(slot.first_token.quantile(0.95))}}},
      {"tokens_written", slot.tokens_written},
      {"tokens_saved", slot.tokens_saved},
      {"usd_spent", slot.usd_spent},
      {"usd_saved", slot.usd_saved},
      {"seconds_saved", slot.seconds_saved}};
}

/// One figure of each step, null where there is a gap.
template <class Figure>
json column(const HistorySpan& span, Figure figure) {
  json out = json::array();
  for (const auto& step : span.steps) out.push_back(step ? json(figure(*step)) : json());
  return out;
}

json columns(const HistorySpan& span, std::int64_t step_s) {
  json requests;
  for (std::size_t i = 0; i < kAnsweredBys; ++i)
    requests[to_string(static_cast<AnsweredBy>(i))] =
        column(span, [i](const HistorySlot& slot) { return slot.requests[i]; });
  const auto first_token = [&span](double share) {
    return column(span,
                  [share](const HistorySlot& slot) { return or_null(slot.first_token.quantile(share)); });
  };
  const auto plain = [&span](auto member) {
    return column(span, [member](const HistorySlot& slot) { return slot.*member; });
  };
  return {{"requests", std::move(requests)},
          {"ttft_ms", {{"p50", first_token(0.5)}, {"p95", first_token(0.95)}}},
          {"tokens_per_s", column(span,
                                  [step_s](const HistorySlot& slot) {
                                    return static_cast<double>(slot.tokens_written) /
                                           static_cast<double>(step_s);
                                  })},
          {"tokens_saved", plain(&HistorySlot::tokens_saved)},
          {"usd_spent", plain(&HistorySlot::usd_spent)},
          {"usd_saved", plain(&HistorySlot::usd_saved)},
          {"seconds_saved", plain(&HistorySlot::seconds_saved)},
          {"running", plain(&HistorySlot::running)},
          {"waiting", plain(&HistorySlot::waiting)},
          {"kv_bytes", plain(&HistorySlot::kv_bytes)},
          {"kv_bytes_max", plain(&HistorySlot::kv_bytes_max)}};
}

}  // namespace

void add_history_route(Router& router, const History& history, HistorySampler& sampler) {
  router.add("GET", "/v1/history", [&history, &sampler](const Exchange& exchange) {
    const std::string_view name = exchange.request.query_value("range");
    const auto* const range = std::ranges::find(kHistoryRanges, name.empty() ? "24h" : name,
                                                [](const HistoryRange& each) { return each.name; });
    if (range == kHistoryRanges.end())
      return send_error(*exchange.responder,
                        name_field(base::invalid("must be 1h, 24h, 7d or 30d", "range")));
    sampler.sample();
    const HistorySpan span = history.span(*range);
    send_json(*exchange.responder, 200,
              to_text({{"range", range->name},
                       {"begin", span.begin_unix_s},
                       {"step_s", range->step_s},
                       {"steps", columns(span, range->step_s)},
                       {"total", total_json(span.total)},
                       {"before", span.before ? total_json(*span.before) : json()}}));
  });
}

}  // namespace pmt::api
