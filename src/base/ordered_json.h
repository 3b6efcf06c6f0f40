// The door of base/json.h for what has a meaning in its members' order: schemas, from which answers are written in
// that order. Thread-safety: pure functions. Cost: as there, but quadratic in the members of one object.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/result.h"

namespace pmt::base {

/// As parse_json; of a member that comes twice the last value counts, at the first one's place.
Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, const JsonLimits& limits = {});

}  // namespace pmt::base
