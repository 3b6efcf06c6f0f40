// One log line as one JSON object, for whoever collects logs by machine.
//   {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"..."}
// A message that log_fields() wrote is an object of its own, and its members stand in the line directly.
// Thread-safety: as spdlog asks of a formatter.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <spdlog/formatter.h>
#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::telemetry {

std::unique_ptr<spdlog::formatter> json_log_formatter();

/// The logger for messages that are JSON objects; made by configure_logging.
inline constexpr char kStructuredLogger[] = "structured";

enum class LogFormat { kText, kJson };
struct LogOptions {
  LogFormat format = LogFormat::kText;
  std::string level = "info";  // trace, debug, info, warn, error, off
  std::string path = {};       // a file; "": stderr
  bool operator==(const LogOptions&) const = default;
};
/// Makes spdlog write so, through a LogSink. Once a process. Errors: the file can't be opened.
base::Status configure_logging(const LogOptions& options);
/// The level from now on, and the file (the same path: opened anew); `format` stays. After configure_logging.
/// Errors: as there, and everything stays.
base::Status reopen_log(const LogOptions& options);
/// Lines that could not be written.
std::uint64_t log_lines_lost();

/// Writes `fields` as one line at `level`: members of the line in JSON, `event key=value ...` in text.
/// Requires: fields has a string "event".
void log_fields(spdlog::level::level_enum level, const nlohmann::json& fields);

}  // namespace pmt::telemetry
