#include "audit/audit.h"

namespace pmt::audit {
namespace {

using nlohmann::json;

json cell_json(const Cell& cell) {
  return {{"state", cell.state},
          {"count", cell.count},
          {"last_used", cell.last_used_unix_s > 0 ? json(cell.last_used_unix_s) : json()}};
}

json row_json(const RowResult& row) {
  json used_in;
  for (int i = 0; i < base::kSurfaces; ++i) {
    used_in[base::to_string(static_cast<base::Surface>(i))] = cell_json(row.cells[i]);
  }
  const bool implemented = row.implemented == "yes";
  json out = {{"name", row.name},
              {"counter", row.counter_name},
              {"implemented", implemented},
              {"used_in", std::move(used_in)},
              {"production_ready", {{"value", row.production_ready}, {"missing", row.missing}}}};
  if (!implemented) out["why"] = row.implemented.substr(row.implemented.find(' ') + 1);
  return out;
}

}  // namespace

json to_json(const Audit& audit) {
  json caches = json::array();
  for (const RowResult& row : audit.rows) caches.push_back(row_json(row));
  return {{"verdict", audit.verdict}, {"caches", std::move(caches)}};
}

}  // namespace pmt::audit
