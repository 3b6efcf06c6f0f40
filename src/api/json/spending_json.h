// What answers cost and what the providers' prompt caches did, as GET /v1/cache and the dashboard show it:
//   {"answers", "usd", "usd_saved", "hit_rate", "token_hit_rate",
//    "answers_reported", "answers_hit", "tokens": {"read", "written", "missed"},
//    "models": [{"model", "tenant", "key", "upstream", and the same}],
//    "budgets": [{"key", "tenant", "usd_per_day", "spent_usd", "refused"}]}
// Rates are of the answers whose provider said what its cache did, and of their prompts' tokens; 0 where there are
// none. "usd_saved" is what those caches took off the answers, their writing paid.
// Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/access.h"
#include "llm/meter.h"

namespace pmt::api {

/// `tenant`: only what is that one's; null: of all.
nlohmann::json spending_json(const llm::Meter& meter, const std::vector<Access::Budget>& budgets,
                             const std::optional<std::string>& tenant);

}  // namespace pmt::api
