// permutation demo: the real server on a free loopback port, asked over HTTP; measured, printed, checked.
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/commands/commands.h"
#include "app/commands/ctrl_c.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/demo/demo_knowledge.h"
#include "app/demo/demo_steps.h"
#include "app/wiring/model_choice.h"
#include "app/wiring/server_app.h"
#include "base/version.h"

namespace pmt::app {

namespace {

struct DemoOptions {
  std::string model;
  int threads = 0;
  bool json = false, keep = false;
};

/// Lets the server go on after the steps, until Ctrl-C. Before that, Ctrl-C ends the process.
class Keeping {
 public:
  void wait(const std::string& url) {
    std::unique_lock lock(mutex_);
    waiting_ = true;  // before it is said: Ctrl-C may come as soon as it is read
    fmt::print(stderr, "\nThe server goes on, and {}/ shows what the demo did. Ctrl-C ends it.\n", url);
    ended_.wait(lock, [this] { return over_; });
  }

 private:
  bool end() {
    const std::lock_guard lock(mutex_);
    over_ = waiting_;
    ended_.notify_all();
    return waiting_;
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  bool waiting_ = false, over_ = false;  // under mutex_
  const CtrlC ctrl_c_{[this] { return end(); }};
};

/// Prints each step as it ends, or keeps them for one JSON object.
class DemoReport {
 public:
  explicit DemoReport(bool json) : json_(json) {}

  void start(const DemoServer& server) {
    result_ = {{"name", "demo"},
               {"version", base::kVersion},
               {"model", server.model},
               {"steps", nlohmann::json::array()}};
    if (json_) return;
    fmt::print("permutation {} demo: {} on {}\n", base::kVersion, server.model, server.url);
    std::fflush(stdout);
  }

  void add(const DemoStep& step) {
    ++number_;
    const bool ok = step.broken.empty();
    result_["steps"].push_back({{"title", step.title}, {"ok", ok}, {"figures", step.figures}});
    if (!ok) {
      result_["steps"].back()["broken"] = step.broken;
      failed_ +=
          fmt::format("{}step {} ({}): {}", failed_.empty() ? "" : "; ", number_, step.title, step.broken);
    }
    if (json_) return;
    fmt::print("\n{} {}{}\n", number_, step.title, ok ? "" : "   FAILED: " + step.broken);
    for (const std::string& line : step.lines) fmt::print("  {}\n", line);
    std::fflush(stdout);
  }

  int finish() {
    result_["ok"] = failed_.empty();
    if (json_) fmt::print("{}\n", result_.dump(2));
    if (!failed_.empty()) return report_error({base::Code::kInternal, "the demo failed: " + failed_});
    if (!json_) fmt::print("\nEvery step did what it claims.\n");
    return kExitDone;
  }

 private:
  const bool json_;
  int number_ = 0;
  nlohmann::json result_;
  std::string failed_;
};

struct TemporaryFolder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("permutation-demo-{}", getpid());
  TemporaryFolder() = default;
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

int demo(const DemoOptions& options) {
  spdlog::set_level(spdlog::level::warn);
  std::optional<Keeping> keeping;  // before the server's threads
  if (options.keep) keeping.emplace();
  Config config;
  config.server.port = 0;
  config.models = {options.model.empty() ? default_model_config() : model_from_spec(options.model)};
  config.models[0].threads = options.threads;
  const base::SystemClock clock;
  // What the demo teaches and reads stays apart from what the user has taught.
  const TemporaryFolder folder;
  config.knowledge_path = (folder.path / "knowledge").string();
  config.prefixes.path = (folder.path / "prefixes").string();
  std::unique_ptr<ServerApp> app;
  const auto start = [&]() -> base::Result<DemoServer> {
    app.reset();
    TRY_ASSIGN(app, ServerApp::start(config, clock));
    return DemoServer{.url = app->url(), .model = app->model_name()};
  };
  auto started = start();
  if (!started) return report_error(started.error());

  DemoServer& server = *started;
  DemoReport report(options.json);
  report.start(server);
  // First, since a server's counters end with it: the audit and the page show what all other steps did.
  report.add(demo_restart(server, start));
  if (app == nullptr) return report.finish();
  for (const DemoStep& step : demo_miss_then_hit(server)) report.add(step);
  report.add(demo_paraphrase(server));
  report.add(demo_many_at_once(server));
  report.add(demo_long_document(server));
  report.add(demo_compression(server));
  report.add(demo_knowledge(server));
  report.add(demo_rlm(server));
  report.add(demo_engines(server));
  report.add(demo_audit(server));
  const int code = report.finish();
  if (keeping) keeping->wait(server.url);
  return code;
}

}  // namespace

void add_demo(CLI::App& root, Command& chosen) {
  CLI::App* command =
      root.add_subcommand("demo", "Starts a server, talks to it, measures and checks what it shows");
  const auto options = std::make_shared<DemoOptions>();
  command->add_option("--model", options->model, "A catalogue name or a .gguf file");
  command->add_option("--threads", options->threads, "Compute threads; 0: all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->add_flag("--keep", options->keep, "Leave the server open at the end, with its page, until Ctrl-C");
  add_examples(*command, {"permutation demo", "permutation demo --keep",
                          "permutation demo --model qwen2.5-coder-1.5b-instruct"});
  command->callback([&chosen, options] { chosen = [options] { return demo(*options); }; });
}

}  // namespace pmt::app
