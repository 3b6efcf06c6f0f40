#include "telemetry/json_log.h"

#include <atomic>
#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/guard.h"
#include "base/json.h"
#include "telemetry/log_sink.h"

namespace pmt::telemetry {
namespace {

using nlohmann::json;

std::atomic<LogFormat> format_in_use{LogFormat::kText};

/// One a process, as its stderr is; never destroyed, so that the last thread can still log.
const std::shared_ptr<LogSink>& sink() {
  static const auto* const kOne = new std::shared_ptr<LogSink>(std::make_shared<LogSink>());
  return *kOne;
}

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

namespace {

void log_exception(const base::Caught& caught) {
  constexpr std::size_t kSaidMax = 200;  // it may quote what it choked on
  const std::string_view place(caught.guard.file);
  spdlog::error("exception on thread {} ({}:{}), request {}: {}", base::to_string(caught.guard.thread),
                place.substr(place.rfind('/') + 1), caught.guard.line,
                caught.guard.request.empty() ? "none" : caught.guard.request,
                std::string_view(caught.what).substr(0, kSaidMax));
}

}  // namespace

base::Status configure_logging(const LogOptions& options) {
  TRY(sink()->open(options.path));
  base::set_exception_handler(log_exception);
  format_in_use = options.format;
  spdlog::drop(kStructuredLogger);
  spdlog::drop("permutation");
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("permutation", sink()));
  spdlog::register_logger(std::make_shared<spdlog::logger>(kStructuredLogger, sink()));
  spdlog::set_level(spdlog::level::from_str(options.level));
  // spdlog's own would print to stderr, which may be what fails.
  spdlog::set_error_handler([](const std::string&) {});
  if (options.format == LogFormat::kJson) {
    spdlog::set_formatter(json_log_formatter());
  } else {
    spdlog::set_pattern("[%Y-%m-%d %H:%M:%S.%e] [permutation] [%^%l%$] %v");
  }
  return {};
}

base::Status reopen_log(const LogOptions& options) {
  TRY(sink()->open(options.path));
  spdlog::set_level(spdlog::level::from_str(options.level));
  return {};
}

std::uint64_t log_lines_lost() {
  return sink()->lost();
}

void log_fields(spdlog::level::level_enum level, const json& fields) {
  const std::shared_ptr<spdlog::logger> logger = spdlog::get(kStructuredLogger);
  if (logger == nullptr || !logger->should_log(level)) return;
  logger->log(level, format_in_use == LogFormat::kJson ? line_text(fields) : text_of(fields));
}

}  // namespace pmt::telemetry
