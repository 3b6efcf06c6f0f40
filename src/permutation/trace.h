// What the engine tells about one request: steps with true durations and outcomes, and the metadata over
// them. Thread-safety: none; one request's events never overlap.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "llm/event.h"
#include "response_cache/flight/single_flight.h"

namespace pmt::permutation {

struct Step {
  std::string component;
  std::string description;
  std::string status = "success";  // success, failed, skipped
  double duration_ms = 0;
  nlohmann::json input = nullptr;
  nlohmann::json output = nullptr;
  nlohmann::json metadata = nlohmann::json::object();
};

nlohmann::json to_json(Step step);
Step skipped(std::string component, std::string description, std::string why);
Step failed(std::string component, std::string description, const base::Error& error, double duration_ms);

/// What is known of the response cache's own part when the stream ends.
struct Lookup {
  llm::CacheReport cache;
  response_cache::Observation seen;
  double total_ms = 0;
};

/// The engine's whole report: the cascade's, as its Done carried it (or a stored answer's), with the response
/// cache's steps around it. An answer that came from the cache tells of its own work only.
/// {"metadata", "documents" where passages were shown, and if `want_trace` "answer", "reasoning", "trace"}
nlohmann::json engine_report(const nlohmann::json& cascade, const Lookup& lookup, bool want_trace,
                             std::string answer);

}  // namespace pmt::permutation
