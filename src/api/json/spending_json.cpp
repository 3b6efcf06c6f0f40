#include "api/json/spending_json.h"

#include <utility>

namespace pmt::api {
namespace {

using nlohmann::json;

template <class T>
double share(T part, T whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

json tally_json(const llm::Meter::Tally& tally) {
  return {{"answers", tally.answers},
          {"usd", tally.usd},
          {"usd_saved", tally.prompt_cache_saved_usd},
          {"hit_rate", share(tally.hits, tally.reported)},
          {"token_hit_rate", share(tally.read, tally.read + tally.written + tally.missed)},
          {"answers_reported", tally.reported},
          {"answers_hit", tally.hits},
          {"tokens", {{"read", tally.read}, {"written", tally.written}, {"missed", tally.missed}}}};
}

}  // namespace

json spending_json(const llm::Meter& meter, const std::vector<Access::Budget>& budgets,
                   const std::optional<std::string>& tenant) {
  llm::Meter::Tally total;
  json models = json::array();
  for (const auto& [who, tally] : meter.tallies()) {
    if (tenant && who.tenant != *tenant) continue;
    total += tally;
    json one = tally_json(tally);
    one["model"] = who.model;
    one["tenant"] = who.tenant;
    one["key"] = who.key;
    one["upstream"] = tally.upstream;
    models.push_back(std::move(one));
  }
  json out = tally_json(total);
  out["models"] = std::move(models);
  out["budgets"] = json::array();
  for (const Access::Budget& budget : budgets) {
    if (tenant && budget.tenant != *tenant) continue;
    out["budgets"].push_back({{"key", budget.key},
                              {"tenant", budget.tenant},
                              {"usd_per_day", budget.usd_per_day},
                              {"spent_usd", budget.spent_usd},
                              {"refused", budget.refusals}});
  }
  return out;
}

}  // namespace pmt::api
