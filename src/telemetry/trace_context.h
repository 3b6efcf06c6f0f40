// Where a request stands in a distributed trace (W3C Trace Context, level 1): the `traceparent` header.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace pmt::telemetry {

struct TraceContext {
  std::string trace_id;  // 32 hex digits, in lower case
  std::string span_id;   // 16: the caller's span; "" when there is none
  bool sampled = true;
};

/// Null unless it is well-formed: "00-<32 hex>-<16 hex>-<2 hex>", ids not all zero.
std::optional<TraceContext> parse_traceparent(std::string_view header);

/// The header for whoever is asked as part of `span_id` of the trace.
std::string traceparent(const TraceContext& context, std::string_view span_id);

/// A new span's id, and with `digits` 32 a new trace's: never all zero.
std::string new_id(const std::function<std::uint64_t()>& random, int digits);

}  // namespace pmt::telemetry
