// permutation serve: the server, until SIGINT or SIGTERM; SIGHUP reads the config file again (reload.h).
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "app/commands/commands.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/config/config.h"
#include "app/wiring/model_choice.h"
#include "app/wiring/reload.h"
#include "app/wiring/server_app.h"

namespace pmt::app {

namespace {

struct ServeOptions {
  std::optional<std::string> config_file;
  std::optional<std::string> host;
  std::optional<std::uint16_t> port;
  std::optional<int> threads;
  std::vector<std::string> models;
  std::optional<std::string> models_dir;
  std::optional<std::string> chat_template;
  bool allow_remote = false;
  bool check = false;
};

/// "" without a file.
base::Result<std::string> config_text(const ServeOptions& options) {
  if (!options.config_file) return std::string();
  return read_config(*options.config_file);
}

/// The file's text, then what the command line says.
base::Result<Config> config_of(const ServeOptions& options, const std::string& text) {
  TRY_ASSIGN(Config config, parse_config(text, options.config_file.value_or("")));
  if (options.host) config.server.host = *options.host;
  if (options.port) config.server.port = *options.port;
  if (!options.models.empty()) {
    config.models.clear();
    for (const std::string& spec : options.models) config.models.push_back(model_from_spec(spec));
  }
  if (options.models_dir) config.on_demand.dir = *options.models_dir;
  const bool no_model = config.models.empty() && config.on_demand.dir.empty();
  if (options.chat_template) {
    if (no_model) config.models.push_back(default_model_config());
    for (ModelConfig& model : config.models) model.chat_template = *options.chat_template;
  }
  if (options.threads) {
    if (no_model && config.models.empty()) config.models.push_back(default_model_config());
    for (ModelConfig& model : config.models) model.threads = *options.threads;
    config.on_demand.each.threads = *options.threads;
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

/// SIGINT, SIGTERM and SIGHUP, held back in every thread started from here on, so that only wait() sees them.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, signal);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  /// Blocks until one comes.
  int wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
    return signal;
  }
  /// The next one to stop ends the process at once: for whoever can't wait for the grace.
  void next_ends() const {
    sigset_t stop = set_;
    sigdelset(&stop, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
  }

 private:
  sigset_t set_{};
};

/// A server and what it runs by.
struct Running {
  const ServeOptions& options;
  const std::string text;  // of the config file, as it was at the start
  Config config;           // with what was taken over since
  std::unique_ptr<ServerApp> server = nullptr;
};

/// The log first: what follows is told where people look for it.
base::Status reload(Running& running) {
  if (const base::Status opened = telemetry::reopen_log(running.config.service.log); !opened)
    spdlog::error("SIGHUP: {}. Lines go where they went", opened.error().message);
  if (!running.options.config_file) {
    spdlog::info("SIGHUP: there is no --config to read again");
    return {};
  }
  TRY_ASSIGN(const std::string text, config_text(running.options));
  TRY_ASSIGN(Config config, config_of(running.options, text));
  TRY(may_reload(running.config, config));
  if (config.service.log != running.config.service.log) TRY(telemetry::reopen_log(config.service.log));
  running.server->reload(config);
  spdlog::info("SIGHUP: {} read again: {} keys, prices of {} models, the log{}", *running.options.config_file,
               config.service.keys.size(), config.prices.size(),
               config.server.tls == nullptr ? "" : ", the certificate");
  auto restart = needs_restart(running.text, text);
  if ((config.server.tls == nullptr) != (running.config.server.tls == nullptr))
    restart.emplace_back("[server] tls_certificate");
  if (!restart.empty()) spdlog::warn("SIGHUP: changed, but takes a restart: {}", fmt::join(restart, ", "));
  config.server.tls = running.config.server.tls;
  running.config = std::move(config);
  return {};
}

/// Until a signal to stop.
void run(Running& running, const Signals& signals) {
  int signal = 0;
  while ((signal = signals.wait()) == SIGHUP) {
    if (const base::Status done = reload(running); !done)
      spdlog::error("SIGHUP: {}. Everything stays as it was", done.error().message);
  }
  signals.next_ends();
  spdlog::info("stopping on {}: running answers get {} ms", signal == SIGINT ? "SIGINT" : "SIGTERM",
               running.config.stop_grace_ms);
}

void say_right(const ServeOptions& options, const Config& config) {
  fmt::print("{}: every key is known and in its range: {} models, {} upstreams, {} keys\n",
             options.config_file.value_or("the options"), config.models.size(), config.upstreams.size(),
             config.service.keys.size());
}

int serve(const ServeOptions& options) {
  const Signals signals;
  const auto text = config_text(options);
  if (!text) return report_by_code(text.error());
  auto config = config_of(options, *text);
  if (!config) return report_by_code(config.error());
  if (options.check) {
    say_right(options, *config);
    return kExitDone;
  }
  if (const base::Status opened = telemetry::configure_logging(config->service.log); !opened)
    return report_by_code(opened.error());
  const base::SystemClock clock;
  Running running{.options = options, .text = *text, .config = std::move(*config)};
  auto server = ServerApp::start(running.config, clock);
  if (!server) return report_error(server.error());
  running.server = std::move(*server);
  spdlog::info("listening on {}", running.server->url());
  if (!is_loopback(running.config.server.host) && running.config.server.tls == nullptr) {
    spdlog::warn(
        "other machines can reach this server, and keys and texts cross the network in the clear: set "
        "[server] tls_certificate and tls_key, or put TLS in front");
  }
  run(running, signals);
  running.server->stop(running.config.stop_grace_ms);
  spdlog::info("stopped");
  return kExitDone;
}

}  // namespace

void add_serve(CLI::App& root, Command& chosen) {
  CLI::App* command = root.add_subcommand("serve", "The server; ready when GET /health answers 200");
  const auto options = std::make_shared<ServeOptions>();
  // By a function: `--config ""`, an unset variable of a script, must count as given.
  command->add_option_function<std::string>(
      "--config", [options](const std::string& file) { options->config_file = file; },
      "A TOML file; the options below override it");
  command->add_option("--host", options->host, "Where to listen [127.0.0.1]");
  command->add_option("--port", options->port, "0: any free one [8080]");
  command->add_option("--model", options->models, "Catalogue names or .gguf files");
  command->add_option("--models-dir", options->models_dir,
                      "A folder: every GGUF in it by its name, loaded by its first request");
  command->add_option("--chat-template", options->chat_template,
                      "A Jinja file, in place of the models' own chat templates");
  command->add_option("--threads", options->threads, "Compute threads of each model; 0: all cores [0]")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--allow-remote", options->allow_remote,
                    "Let other machines reach it though no [[key]] is configured");
  command->add_flag("--check", options->check,
                    "Read the file and the options, say what is wrong, and don't serve");
  add_examples(*command, {"permutation serve", "permutation serve --model my.gguf --port 9000",
                          "permutation serve --config permutation.toml",
                          "permutation serve --config permutation.toml --check"});
  command->callback([&chosen, options] { chosen = [options] { return serve(*options); }; });
}

}  // namespace pmt::app
