#include "audit/audit.h"

#include <fmt/format.h>

#include "audit/verdict.h"

namespace pmt::audit {
namespace {

constexpr char kNotBuilt[] = "not built yet";

Cell cell_of(const CacheRow& row, const RowResult& result, base::Surface surface) {
  Cell cell;
  if (!row.built) {
    cell.state = std::string("off: ") + kNotBuilt;
    return cell;
  }
  base::UsageCounter::Cell used;
  for (const auto& [who, cells] : result.users) used += cells[static_cast<std::size_t>(surface)];
  cell.count = used.count;
  cell.last_used_unix_s = used.last_unix_s;
  const auto off = row.off_reason ? row.off_reason(surface) : std::nullopt;
  cell.state = off ? "off: " + *off : cell.count > 0 ? "used" : "enabled, unused";
  return cell;
}

/// What stands between this row and "production ready": each lack is a sentence of its own.
std::vector<std::string> lacks(const CacheRow& row, const std::optional<std::string>& self_test_failure,
                               std::uint64_t used) {
  if (!row.built) return {kNotBuilt};
  std::vector<std::string> missing;
  if (!row.self_test) missing.emplace_back("no self-test");
  if (self_test_failure) missing.push_back("self-test failed: " + *self_test_failure);
  if (!row.on_by_default) missing.emplace_back("not on by default");
  if (used == 0) missing.emplace_back("not used yet");
  const std::uint64_t failures = row.usage != nullptr ? row.usage->failures() : 0;
  if (failures > 0) missing.push_back(fmt::format("{} failure{}", failures, failures == 1 ? "" : "s"));
  return missing;
}

RowResult result_of(const CacheRow& row) {
  RowResult result;
  result.name = row.name;
  result.counter_name = row.counter_name;
  result.concerns = row.concerns;
  std::optional<std::string> failure;
  if (row.built && row.self_test) failure = row.self_test();
  result.implemented = !row.built ? std::string("no: ") + kNotBuilt
                       : failure  ? "no: self-test failed: " + *failure
                                  : "yes";
  if (row.built && row.usage != nullptr) result.users = row.usage->by_user();
  std::uint64_t used = 0;
  for (int i = 0; i < base::kSurfaces; ++i) {
    result.cells[i] = cell_of(row, result, static_cast<base::Surface>(i));
    used += result.cells[i].count;
  }
  result.missing = lacks(row, failure, used);
  result.production_ready = result.missing.empty();
  return result;
}

}  // namespace

Audit build_audit(const std::vector<CacheRow>& rows) {
  Audit audit;
  audit.rows.reserve(rows.size());
  for (const CacheRow& row : rows) audit.rows.push_back(result_of(row));
  audit.verdict = verdict_of(audit.rows);
  return audit;
}

}  // namespace pmt::audit
