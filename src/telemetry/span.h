// One span of a trace, as OpenTelemetry knows it. Thread-safety: plain data.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace pmt::telemetry {

struct Span {
  enum class Kind { kInternal = 1, kServer = 2, kClient = 3 };  // OTLP's numbers

  std::string trace_id, span_id, parent_id;  // parent_id: "" for a root
  std::string name;
  Kind kind = Kind::kInternal;
  std::int64_t begin_unix_ns = 0, end_unix_ns = 0;
  std::vector<std::pair<std::string, nlohmann::json>>
      attributes;  // a string, number, bool or array of strings
  bool failed = false;
  std::string error = {};  // of a failed one
};

/// The body of an OTLP/HTTP JSON export (opentelemetry-proto 1.x: ids in hex, 64-bit integers as strings).
std::string otlp_json(const std::vector<Span>& spans, const std::string& service_name,
                      const std::string& version);

}  // namespace pmt::telemetry
