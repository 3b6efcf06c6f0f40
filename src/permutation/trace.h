// What the engine tells about one request: metadata and trace, from what was observed while it ran.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "llm/event.h"
#include "response_cache/single_flight.h"

namespace pmt::permutation {

/// Everything that is known when the stream ends.
struct Outcome {
  llm::CacheReport cache;
  response_cache::Observation seen;
  llm::Usage usage;
  std::string student_model;
  double total_ms = 0;
};

/// {components_used, duration_ms, student_model, student_calls, teacher_calls, cost}
nlohmann::json metadata_json(const Outcome& outcome);
/// {steps, total_duration_ms, errors}
nlohmann::json trace_json(const Outcome& outcome);

}  // namespace pmt::permutation
