// One event of a stored answer as JSON, and back (entry_codec.h). Bytes that are no UTF-8 stand as {"hex": ...}.
// Thread-safety: pure functions. Errors: kCorrupt, naming what is wrong where.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "llm/event.h"

namespace pmt::response_cache {

/// Of an answer's events. 1, without a member that says so: no members of upstreams, calls as objects.
inline constexpr std::int64_t kEventsVersion = 2;

nlohmann::json event_json(const llm::Event& event);
/// Reads either version.
base::Result<llm::Event> read_event(const nlohmann::json& value);

nlohmann::json bytes_json(const std::string& bytes);

}  // namespace pmt::response_cache
