// How an engine's room reads its own options out of a request's JSON: `permutation.NAME`, an object. app/ hands the
// readers of all engines to api/, which calls the one of that name. Errors name the path below the object, as
// base/json_fields.h says. Requires: who includes it links simdjson. Thread-safety: pure functions.
#pragma once

#include <span>
#include <utility>

#include "base/json_fields.h"
#include "llm/engine_options.h"

namespace pmt::llm {

/// {name, read}.
using EngineOptionsReader = base::Rule<EngineOptions>;

/// Reads an object by rules into T. What was read before of a member given twice stays, as in any object.
/// Errors leave `into` without a T: the request is refused.
template <EngineOption T>
base::Status read_engine_options(base::Json value, std::span<const base::Rule<T>> rules,
                                 EngineOptions& into) {
  T options = into.take<T>();
  TRY(base::read_object<T>(value, rules, base::UnknownKeys::kRefused, options));
  into.set(std::move(options));
  return {};
}

}  // namespace pmt::llm
