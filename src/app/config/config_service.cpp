#include "app/config/config_service.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "app/config/config_reader.h"

namespace pmt::app {
namespace {

base::Error key_error(const toml::table& table, const std::string& file, const std::string& what,
                      const char* field) {
  return base::invalid(fmt::format("{}:{}: [[key]] {}", file, table.source().begin.line, what), field);
}

base::Status read_scopes(const toml::table& table, const std::string& file, std::vector<api::Scope>& out) {
  const toml::array* const scopes = table.get_as<toml::array>("scopes");
  if (scopes == nullptr) return {};
  out.clear();
  for (const toml::node& node : *scopes) {
    const auto name = node.value_exact<std::string>();
    const auto scope = name ? api::scope_of_name(*name) : std::nullopt;
    if (!scope) {
      return key_error(table, file, "scopes may be \"inference\", \"cache\", \"knowledge\" and \"admin\"",
                       "scopes");
    }
    out.push_back(*scope);
  }
  if (out.empty()) return key_error(table, file, "scopes must name at least one", "scopes");
  return {};
}

}  // namespace

base::Result<api::KeyOptions> read_key(const toml::table& table, const std::string& file) {
  TableReader reader(table, "[[key]]", file);
  api::KeyOptions key;
  std::string sha256;
  reader.text("name", key.name);
  reader.text("sha256", sha256);
  reader.text("tenant", key.tenant);
  reader.list("scopes");
  reader.number("requests_per_minute", key.requests_per_minute);
  reader.number("tokens_per_minute", key.tokens_per_minute);
  reader.integer("concurrent_max", key.concurrent_max, {.min = 0, .max = 1'000'000});
  reader.number("budget_usd_per_day", key.budget_usd_per_day);
  TRY(reader.finish());
  if (key.name.empty()) return key_error(table, file, "needs a name, for logs and metrics", "name");
  const auto digest = base::Digest::of_hex(sha256);
  if (!digest) {
    return key_error(
        table, file,
        fmt::format("{} needs its sha256, 64 hex digits: `permutation keys new` makes a key and prints "
                    "it. The key itself never goes into a file",
                    key.name),
        "sha256");
  }
  key.sha256 = *digest;
  TRY(read_scopes(table, file, key.scopes));
  return key;
}

base::Result<std::vector<net::HostPattern>> read_allowed_hosts(const std::vector<std::string>& texts,
                                                               const std::string& file) {
  std::vector<net::HostPattern> patterns;
  for (const std::string& text : texts) {
    auto pattern = net::HostPattern::parse(text);
    if (!pattern) {
      return base::invalid(
          fmt::format("{}: [server] allowed_hosts takes names and addresses without scheme or "
                      "port, like \"chat.example.org\" or \"*.lan\": {}{}",
                      file, pattern.error().message,
                      text == "*" ? "; to let everybody in, configure a [[key]]" : ""),
          "allowed_hosts");
    }
    patterns.push_back(*std::move(pattern));
  }
  return patterns;
}

base::Result<api::Cors> read_cors_origins(const std::vector<std::string>& texts, const std::string& file) {
  auto cors = api::Cors::create(texts);
  if (cors) return cors;
  return base::invalid(fmt::format("{}: [server] cors_origins {}", file, cors.error().message),
                       "cors_origins");
}

base::Status read_log(const toml::table& table, const std::string& file, ServiceConfig& out) {
  TableReader reader(table, "[log]", file);
  reader.one_of("format", out.log.format,
                {{"text", telemetry::LogFormat::kText}, {"json", telemetry::LogFormat::kJson}});
  reader.one_of("level", out.log.level,
                {{"debug", std::string("debug")},
                 {"info", std::string("info")},
                 {"warn", std::string("warn")},
                 {"error", std::string("error")},
                 {"off", std::string("off")}});
  reader.boolean("requests", out.request_log.requests);
  reader.number("slow_ms", out.request_log.slow_ms);
  reader.boolean("prompts", out.log_prompts);
  reader.text("path", out.log.path);
  return reader.finish();
}

base::Status read_telemetry(const toml::table& table, const std::string& file, ServiceConfig& out) {
  TableReader reader(table, "[telemetry]", file);
  reader.text("otlp_endpoint", out.otlp_endpoint);
  reader.text("service_name", out.service_name);
  TRY(reader.finish());
  if (!out.otlp_endpoint.empty() && !out.otlp_endpoint.starts_with("http://")) {
    return base::invalid(
        fmt::format(
            "{}:{}: [telemetry] otlp_endpoint must look like http://127.0.0.1:4318, a collector that takes "
            "OTLP over HTTP",
            file, table.source().begin.line),
        "otlp_endpoint");
  }
  return {};
}

base::Status read_dashboard(const toml::table& table, const std::string& file, ServiceConfig& out) {
  TableReader reader(table, "[dashboard]", file);
  reader.boolean("enabled", out.dashboard);
  return reader.finish();
}

base::Status check_service(const ServiceConfig& config, const std::string& file) {
  std::set<std::string> names;
  std::set<base::Digest> hashes;
  for (const api::KeyOptions& key : config.keys) {
    if (!names.insert(key.name).second)
      return base::invalid(fmt::format("{}: two [[key]] have the name \"{}\"", file, key.name), "name");
    if (!hashes.insert(key.sha256).second)
      return base::invalid(fmt::format("{}: [[key]] \"{}\" has the sha256 of another one", file, key.name),
                           "sha256");
  }
  if (config.tls_certificate.empty() != config.tls_key.empty()) {
    return base::invalid(fmt::format("{}: [server] tls_certificate and tls_key go together: set both", file),
                         config.tls_key.empty() ? "tls_key" : "tls_certificate");
  }
  return {};
}

}  // namespace pmt::app
