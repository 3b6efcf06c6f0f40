// permutation serve: the server, until SIGINT or SIGTERM.
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/commands.h"
#include "app/config.h"
#include "app/model_choice.h"
#include "app/report_error.h"
#include "app/server_app.h"

namespace pmt::app {

namespace {

struct ServeOptions {
  std::string config_file;
  std::optional<std::string> host;
  std::optional<std::uint16_t> port;
  std::optional<int> threads;
  std::vector<std::string> models;
  bool allow_remote = false;
};

/// The file, then what the command line says.
base::Result<Config> config_of(const ServeOptions& options) {
  Config config;
  if (!options.config_file.empty()) {
    TRY_ASSIGN(config, load_config(options.config_file));
  }
  if (options.host) config.server.host = *options.host;
  if (options.port) config.server.port = *options.port;
  if (!options.models.empty()) {
    config.models.clear();
    for (const std::string& spec : options.models) config.models.push_back(model_from_spec(spec));
  }
  if (options.threads) {
    if (config.models.empty()) config.models.push_back(default_model_config());
    for (ModelConfig& model : config.models) model.threads = *options.threads;
  }
  if (!is_loopback(config.server.host) && config.service.keys.empty() && !options.allow_remote) {
    return base::invalid(
        fmt::format(
            "refusing to listen on {}: other machines could reach it, and no [[key]] is configured, so "
            "anybody could use it. Make a key with `permutation keys new`, use 127.0.0.1, or pass "
            "--allow-remote if that is meant",
            config.server.host),
        "host");
  }
  if (!config.service.tls_certificate.empty()) {
    TRY_ASSIGN(config.server.tls,
               net::TlsContext::load(config.service.tls_certificate, config.service.tls_key));
  }
  return config;
}

/// SIGINT and SIGTERM, held back in every thread started from here on, so that only wait() sees them.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  /// Blocks until one comes. The next one ends the process at once: for whoever can't wait for the grace.
  int wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
    return signal;
  }

 private:
  sigset_t set_{};
};

int serve(const ServeOptions& options) {
  const auto config = config_of(options);
  if (!config) return report_by_code(config.error());
  telemetry::configure_logging(config->service.log);
  const StopSignals signals;
  const base::SystemClock clock;
  const auto server = ServerApp::start(*config, clock);
  if (!server) return report_error(server.error());
  spdlog::info("listening on {}", (*server)->url());
  if (!is_loopback(config->server.host) && config->server.tls == nullptr) {
    spdlog::warn(
        "other machines can reach this server, and keys and texts cross the network in the clear: set "
        "[server] tls_certificate and tls_key, or put TLS in front");
  }
  const int signal = signals.wait();
  spdlog::info("stopping on {}: running answers get {} ms", signal == SIGINT ? "SIGINT" : "SIGTERM",
               config->stop_grace_ms);
  (*server)->stop(config->stop_grace_ms);
  spdlog::info("stopped");
  return kExitDone;
}

}  // namespace

void add_serve(CLI::App& root, Command& chosen) {
  CLI::App* command = root.add_subcommand("serve", "The server; ready when GET /health answers 200");
  const auto options = std::make_shared<ServeOptions>();
  command->add_option("--config", options->config_file, "A TOML file; the options below override it");
  command->add_option("--host", options->host, "Where to listen [127.0.0.1]");
  command->add_option("--port", options->port, "0: any free one [8080]");
  command->add_option("--model", options->models, "Catalogue names or .gguf files");
  command->add_option("--threads", options->threads, "Compute threads of each model; 0: all cores [0]")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--allow-remote", options->allow_remote,
                    "Let other machines reach it though no [[key]] is configured");
  command->callback([&chosen, options] { chosen = [options] { return serve(*options); }; });
}

}  // namespace pmt::app
