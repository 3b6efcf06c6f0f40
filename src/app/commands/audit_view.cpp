#include "app/commands/audit_view.h"

#include <algorithm>
#include <cstdint>

#include "base/json.h"

namespace pmt::app {

namespace {

using nlohmann::json;

bool read_cell(const json& cell, audit::Cell& out) {
  const auto count = base::integer_at(cell, "count");
  out = {.state = base::text_at(cell, "state"),
         .count = static_cast<std::uint64_t>(std::max<std::int64_t>(count.value_or(0), 0)),
         .last_used_unix_s = base::integer_at(cell, "last_used").value_or(0)};  // null: never
  return count && !out.state.empty();
}

bool read_row(const json& cache, audit::RowResult& row) {
  const auto implemented = base::flag_at(cache, "implemented");
  const json& ready = base::at(cache, "production_ready");
  row.name = base::text_at(cache, "name");
  row.counter_name = base::text_at(cache, "counter");
  row.implemented = implemented.value_or(false) ? "yes" : "no: " + base::text_at(cache, "why");
  row.production_ready = base::flag_at(ready, "value").value_or(false);
  for (const json& missing : base::array_at(ready, "missing")) {
    row.missing.push_back(base::as_text(missing).value_or("?"));
  }
  bool whole = !row.name.empty() && implemented && ready.is_object();
  const json& used_in = base::at(cache, "used_in");
  for (int i = 0; i < base::kSurfaces; ++i) {
    whole &= read_cell(base::at(used_in, base::to_string(static_cast<base::Surface>(i))), row.cells[i]);
  }
  return whole;
}

}  // namespace

base::Result<audit::Audit> audit_from_json(const json& body) {
  audit::Audit audit{.verdict = base::text_at(body, "verdict"), .rows = {}};
  bool whole = !audit.verdict.empty() && base::at(body, "caches").is_array();
  for (const json& cache : base::array_at(body, "caches")) {
    whole &= read_row(cache, audit.rows.emplace_back());
  }
  if (whole) return audit;
  return base::Error{
      base::Code::kCorrupt,
      "the server's audit has other members than this version's: is it a Permutation server, and as new?"};
}

}  // namespace pmt::app
