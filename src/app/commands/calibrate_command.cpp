// permutation calibrate MODEL: makes the model's calibration ahead of the first compressed request; with --programs, tries
// whether it writes programs and queries.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands/commands.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/wiring/model_choice.h"
#include "app/wiring/rlm_engines.h"
#include "app/wiring/root_record.h"
#include "base/clock.h"
#include "compression/calibration.h"
#include "engine/local_engine.h"
#include "model/llama_log.h"
#include "model/transformer.h"
#include "model/vocab.h"
#include "rlm/root_trial.h"
#include "sandbox/sandbox.h"

namespace pmt::app {

namespace {

struct CalibrateCommand {
  std::string model, output;
  int threads = 0;
  bool again = false;
  bool json = false;
  bool programs = false;
};

/// What was made, or was there.
void show(const CalibrateCommand& command, const std::string& model, const std::string& path, double seconds,
          double explained) {
  constexpr double kPercent = 100;
  if (command.json) {
    const nlohmann::json told = {
        {"model", model}, {"path", path}, {"seconds", seconds}, {"explained", explained}};
    return fmt::print("{}\n", told.dump(2));
  }
  fmt::print("{}\n", path);
  tell("{:.0f} s; it explains {:.0f}% of the variance of the log scores of a text that it wasn't fitted on\n",
       seconds, kPercent * explained);
}

base::Status calibrate(const CalibrateCommand& command) {
  TRY_ASSIGN(const inference::LocalModelOptions options, resolve_spec(command.model));
  const bool elsewhere = !command.output.empty();
  const std::string path = elsewhere ? command.output : options.calibration_path;
  model::init_llama();
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  TRY_ASSIGN(const auto transformer,
             model::Transformer::load(options.path, command.threads > 0 ? command.threads : cores, {}));
  TRY_ASSIGN(const auto vocab, model::Vocab::load(options.path));
  const compression::CalibrateOptions how{.path = path,
                                          .shipped = options.calibration_shipped,
                                          .on_progress = options.on_calibration_progress,
                                          .on_warning = options.on_warning};
  if (!command.again && !elsewhere) {
    if (const auto known = compression::known_calibration(*transformer, how)) {
      tell("{} has its calibration already: --again makes a new one\n", options.name);
      if (command.json) show(command, options.name, path, 0, known->explained);
      return {};
    }
  }
  const base::SystemClock clock;
  const base::Nanos begin = clock.now();
  TRY_ASSIGN(const auto made, compression::calibrate(*transformer, *vocab, how));
  TRY(compression::save(made, *transformer, path));
  constexpr double kMsAS = 1000;
  show(command, options.name, path, base::ms_between(begin, clock.now()) / kMsAS, made.explained);
  return {};
}

/// The other thing that is measured of a model once: whether it writes programs and queries that `rlm` can rely on.
base::Status try_programs(const CalibrateCommand& command) {
  TRY_ASSIGN(inference::LocalModelOptions options, resolve_spec(command.model));
  const bool elsewhere = !command.output.empty();
  const std::string path = elsewhere ? command.output : trial_path(options.path);
  const std::string name = options.name, file = options.path;
  std::error_code none;
  auto trials = command.again || elsewhere ? std::nullopt : known_trials(file);
  if (trials) {
    tell("{} was tried already{}: --again tries it anew\n", name,
         std::filesystem::exists(path, none) ? "" : ", and its record comes with the product");
  } else {
    const base::SystemClock clock;
    if (command.threads > 0) options.threads = command.threads;
    TRY_ASSIGN(const auto sandbox, sandbox::Sandbox::open({.monty_home = monty_home()}));
    TRY_ASSIGN(const auto local, engine::LocalEngine::open({.models = {std::move(options)}}, clock));
    const auto root =
        rlm_model(local->models()[0].completer(), name, local->models()[0].model.get(), nullptr);
    TRY_ASSIGN(trials, rlm::try_root(root, *sandbox, clock,
                                     {.on_progress = [](const std::string& text) { tell("{}\n", text); }}));
    TRY(save_trials(*trials, name, file, path));
  }
  const bool is_kept = std::filesystem::exists(path, none);  // else it is one of ours, in the binary
  if (command.json) {
    const auto counted = [](const rlm::RootTrial& trial) {
      return nlohmann::json{{"asked", trial.asked}, {"right", trial.right}};
    };
    const nlohmann::json told = {{"model", name},
                                 {"path", is_kept ? nlohmann::json(path) : nullptr},
                                 {"programs", counted(trials->programs)},
                                 {"queries", counted(trials->queries)},
                                 {"writes_programs", trials->programs.is_passed()},
                                 {"writes_queries", trials->queries.is_passed()}};
    fmt::print("{}\n", told.dump(2));
  } else {
    if (is_kept) fmt::print("{}\n", path);
    const auto tell_of = [](const rlm::RootTrial& trial, const char* what, const char* passed,
                            const char* failed) {
      tell("{} of {} trial {} right, {} of {} asked for: as the root of `rlm`, {}\n", trial.right,
           trial.asked, what, rlm::kTrialRightMin, rlm::kTrialQuestions, trial.is_passed() ? passed : failed);
    };
    tell_of(trials->programs, "programs", "it writes its own programs", "it is used with programs of ours");
    tell_of(trials->queries, "queries", "it is asked for queries about records",
            "it isn't asked for queries about records");
  }
  return {};
}

}  // namespace

void add_calibrate(CLI::App& root, Command& chosen) {
  CLI::App* sub = root.add_subcommand(
      "calibrate", "Make a model's calibration for KV compression, ahead of the first compressed request");
  const auto command = std::make_shared<CalibrateCommand>();
  sub->add_option(
      "MODEL", command->model,
      "A name of `permutation models list`, or a GGUF file; default: the model that serves when nobody names one");
  sub->add_option("--output", command->output,
                  "Where to write it, whatever there is already; default: where the server looks");
  sub->add_option("--threads", command->threads, "Default: all cores");
  sub->add_flag(
      "--programs", command->programs,
      "Measure instead whether it writes programs, and queries about records, that `rlm` can rely on: ten "
      "questions of each, in minutes");
  sub->add_flag("--again", command->again, "Also where there is one");
  sub->add_flag("--json", command->json, "What was made as one JSON object");
  add_examples(*sub, {"permutation calibrate qwen2.5-coder-1.5b-instruct",
                      "permutation calibrate my.gguf --again", "permutation calibrate my.gguf --programs"});
  sub->callback([&chosen, command] {
    chosen = [command] {
      const base::Status done = command->programs ? try_programs(*command) : calibrate(*command);
      return done ? kExitDone : report_by_code(done.error());
    };
  });
}

}  // namespace pmt::app
