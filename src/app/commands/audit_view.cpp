#include "app/commands/audit_view.h"

#include <fmt/format.h>

namespace pmt::app {

namespace {

using nlohmann::json;

audit::Cell cell_from(const json& cell) {
  const json& last_used = cell.at("last_used");
  return {.state = cell.at("state"),
          .count = cell.at("count"),
          .last_used_unix_s = last_used.is_null() ? 0 : last_used.get<std::int64_t>()};
}

audit::RowResult row_from(const json& cache) {
  audit::RowResult row;
  row.name = cache.at("name");
  row.counter_name = cache.at("counter");
  row.implemented = cache.at("implemented").get<bool>() ? "yes" : "no: " + cache.at("why").get<std::string>();
  for (int i = 0; i < base::kSurfaces; ++i) {
    row.cells[i] = cell_from(cache.at("used_in").at(base::to_string(static_cast<base::Surface>(i))));
  }
  row.production_ready = cache.at("production_ready").at("value");
  row.missing = cache.at("production_ready").at("missing").get<std::vector<std::string>>();
  return row;
}

}  // namespace

base::Result<audit::Audit> audit_from_json(const json& body) {
  try {
    audit::Audit audit{.verdict = body.at("verdict"), .rows = {}};
    for (const json& cache : body.at("caches")) audit.rows.push_back(row_from(cache));
    return audit;
  } catch (const json::exception& error) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("the server's audit can't be read: {}", error.what())};
  }
}

}  // namespace pmt::app
