// A request as spans: the server's, the model's (OpenTelemetry's GenAI semantic conventions), and one for
// each phase that was timed. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "api/observe/request_record.h"
#include "telemetry/span.h"

namespace pmt::api {

/// `unix_ns_of_clock`: what to add to the clock's readings to have Unix time.
std::vector<telemetry::Span> spans_of(const RequestRecord& record, std::int64_t unix_ns_of_clock);

}  // namespace pmt::api
