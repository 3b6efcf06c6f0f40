// The `permutation` binary: reads the command line and runs the one command that it names.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/config_reader.h"
#include "app/exit_code.h"
#include "base/version.h"

namespace {

using pmt::app::kExitFailed;
using pmt::app::kExitWrongUsage;

std::vector<const CLI::App*> subcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string no_such_command(const std::string& word, const std::vector<const CLI::App*>& known) {
  std::vector<std::string> names;
  for (const CLI::App* sub : known) names.push_back(sub->get_name());
  const std::string_view meant = pmt::app::nearest(word, {names.begin(), names.end()});
  return fmt::format("no command \"{}\"{}. There are: {}", word,
                     meant.empty() ? "" : fmt::format(" (did you mean {}?)", meant), fmt::join(names, ", "));
}

/// What is wrong with the words that name a command; "" if nothing. CLI11 would only say that it did not
/// expect the word; people want to know which there are.
std::string unknown_command(const CLI::App& root, int argc, char** argv) {
  const CLI::App* at = &root;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto known = subcommands(*at);
    if (known.empty() || word.starts_with('-')) return "";
    const auto next =
        std::ranges::find_if(known, [&](const CLI::App* sub) { return sub->get_name() == word; });
    if (next == known.end()) return no_such_command(word, known);
    at = *next;
  }
  return "";
}

void add_commands(CLI::App& root, pmt::app::Command& chosen) {
  root.set_version_flag("--version", std::string("permutation ") + pmt::base::kVersion);
  root.require_subcommand(1);
  pmt::app::add_demo(root, chosen);
  pmt::app::add_serve(root, chosen);
  pmt::app::add_ask(root, chosen);
  pmt::app::add_rlm(root, chosen);
  pmt::app::add_audit(root, chosen);
  pmt::app::add_models(root, chosen);
  pmt::app::add_cache(root, chosen);
  pmt::app::add_keys(root, chosen);
  pmt::app::add_learn(root, chosen);
  pmt::app::add_knowledge(root, chosen);
}

int wrong_usage(const std::string& what) {
  fmt::print(stderr, "permutation: {}\nMore: permutation --help, permutation COMMAND --help\n", what);
  return kExitWrongUsage;
}

}  // namespace

int main(int argc, char** argv) {
  // Past a limit on file sizes a write fails, and whoever wrote says so; the process doesn't end over it.
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App root("A local model server with the API of OpenAI and caches that it accounts for.",
                "permutation");
  pmt::app::Command chosen;
  add_commands(root, chosen);
  if (const std::string wrong = unknown_command(root, argc, argv); !wrong.empty()) return wrong_usage(wrong);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return root.exit(error);
    return wrong_usage(error.what());
  }
  try {
    return chosen();
  } catch (const std::exception& error) {  // e.g. out of memory: nothing of ours throws
    fmt::print(stderr, "permutation: {}\n", error.what());
    return kExitFailed;
  }
}
