// The parts of the configuration that say how the server is run rather than what it serves: keys, TLS, logs,
// traces, the dashboard. See config.h for all of it.
// Thread-safety: plain data and pure functions. Errors: as config.h.
#pragma once

#include <string>
#include <vector>

#include <toml++/toml.h>

#include "api/access.h"
#include "api/observe/request_log.h"
#include "base/result.h"
#include "net/host.h"
#include "telemetry/json_log.h"

namespace pmt::app {

struct ServiceConfig {
  std::vector<api::KeyOptions> keys;
  std::vector<net::HostPattern> allowed_hosts;  // [server] allowed_hosts
  api::Cors cors;                               // [server] cors_origins
  std::string tls_certificate, tls_key;         // PEM files; both or none
  telemetry::LogOptions log;
  api::RequestLogOptions request_log;
  bool log_prompts = false;
  std::string otlp_endpoint;  // "": no traces
  std::string service_name = "permutation";
  bool dashboard = true;
};

base::Result<api::KeyOptions> read_key(const toml::table& table, const std::string& file);
/// [server] allowed_hosts, as `texts` has it.
base::Result<std::vector<net::HostPattern>> read_allowed_hosts(const std::vector<std::string>& texts,
                                                               const std::string& file);
/// [server] cors_origins, as `texts` has it.
base::Result<api::Cors> read_cors_origins(const std::vector<std::string>& texts, const std::string& file);
base::Status read_log(const toml::table& table, const std::string& file, ServiceConfig& out);
base::Status read_telemetry(const toml::table& table, const std::string& file, ServiceConfig& out);
base::Status read_dashboard(const toml::table& table, const std::string& file, ServiceConfig& out);
/// What no single table can see: two keys of one hash or name, half of TLS.
base::Status check_service(const ServiceConfig& config, const std::string& file);

}  // namespace pmt::app
