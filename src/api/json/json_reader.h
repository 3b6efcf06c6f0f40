// Foreign JSON, read by simdjson: the whole document is checked (UTF-8, numbers, nesting) before any of it is
// used.
#pragma once

#include <cstddef>
#include <string>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/json_fields.h"
#include "base/result.h"

namespace pmt::api {

using base::Json;

/// What becomes of integers that 64 bits don't hold: an error, or, where what was written goes on as it was
/// written, a real: who needs an integer refuses it by name, and where nobody reads it, it stands in nobody's way.
enum class LongIntegers { kRefused, kAsReals };

/// The document's root. It and everything reached from it live until the next call on this thread, and no longer
/// than `text`. Errors: kInvalidArgument with the place (line and column) and what is wrong there.
base::Result<Json> parse_json(const std::string& text, LongIntegers long_integers = LongIntegers::kRefused);

/// A copy that outlives the parser, for what is kept as sent. Strings may hold any character, U+0000 too.
nlohmann::json to_nlohmann(Json value);

}  // namespace pmt::api
