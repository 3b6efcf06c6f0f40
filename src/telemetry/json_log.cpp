#include "telemetry/json_log.h"

#include <atomic>
#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "base/json.h"

namespace pmt::telemetry {
namespace {

using nlohmann::json;

std::atomic<LogFormat> format_in_use{LogFormat::kText};

std::string line_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    using namespace std::chrono;
    const auto since = message.time.time_since_epoch();
    const auto ms = duration_cast<milliseconds>(since).count() % 1000;
    const std::string time =
        fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(system_clock::to_time_t(message.time)), ms);
    const auto level = spdlog::level::to_string_view(message.level);
    std::string line =
        fmt::format(R"({{"time":"{}","level":"{}")", time, fmt::string_view(level.data(), level.size()));
    const std::string payload(message.payload.data(), message.payload.size());
    const bool structured =
        std::string_view(message.logger_name.data(), message.logger_name.size()) == kStructuredLogger;
    if (structured && payload.size() > 2) {
      line += ',' + payload.substr(1);  // an object's text without its first brace
    } else {
      line += ",\"message\":" + line_text(payload) + '}';
    }
    line += '\n';
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonFormatter>(); }
};

std::string text_of(const json& fields) {
  std::string out = base::text_at(fields, "event");
  for (const auto& [key, value] : fields.items()) {
    if (key == "event" || value.is_null()) continue;
    const std::string text = base::as_text(value).value_or("");
    const bool bare = !text.empty() && text.find_first_of(" \"\n\\=") == std::string::npos;
    out += fmt::format(" {}={}", key, bare ? text : line_text(value));
  }
  return out;
}

}  // namespace

std::unique_ptr<spdlog::formatter> json_log_formatter() {
  return std::make_unique<JsonFormatter>();
}

void configure_logging(const LogOptions& options) {
  format_in_use = options.format;
  spdlog::drop(kStructuredLogger);
  spdlog::drop("permutation");
  spdlog::set_default_logger(spdlog::stderr_color_mt("permutation"));
  spdlog::stderr_color_mt(kStructuredLogger);
  spdlog::set_level(spdlog::level::from_str(options.level));
  if (options.format == LogFormat::kJson) {
    spdlog::set_formatter(json_log_formatter());
  } else {
    spdlog::set_pattern("[%Y-%m-%d %H:%M:%S.%e] [permutation] [%^%l%$] %v");
  }
}

void log_fields(spdlog::level::level_enum level, const json& fields) {
  const std::shared_ptr<spdlog::logger> logger = spdlog::get(kStructuredLogger);
  if (logger == nullptr || !logger->should_log(level)) return;
  logger->log(level, format_in_use == LogFormat::kJson ? line_text(fields) : text_of(fields));
}

}  // namespace pmt::telemetry
