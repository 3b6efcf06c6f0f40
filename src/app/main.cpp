// The `permutation` binary: reads the command line and runs the one command that it names.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "app/commands/command_words.h"
#include "app/commands/commands.h"
#include "app/commands/exit_code.h"
#include "app/commands/report_error.h"
#include "app/config/config_reader.h"

namespace {

using pmt::app::kExitFailed;
using pmt::app::kExitWrongUsage;

/// Also where the rest of the line is wrong, so that a script reads what is.
bool asks_for_json(int argc, char** argv) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    if (std::string_view(argv[i]) == "--json") return true;
  }
  return false;
}

std::string no_such_command(const std::string& word, const CLI::App& at) {
  std::vector<std::string> names;
  for (const CLI::App* sub : pmt::app::shown_commands(at)) names.push_back(sub->get_name());
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
    if (pmt::app::shown_commands(*at).empty() || word.starts_with('-')) return "";
    const CLI::App* const next = pmt::app::command_named(*at, word);
    if (next == nullptr) return no_such_command(word, *at);
    at = next;
  }
  return "";
}

/// What is wrong with an option that no command of those named has; "" if all are known. CLI11 would name what followed it,
/// too.
std::string unknown_option(const CLI::App& root, int argc, char** argv) {
  const CLI::App* at = &root;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (const CLI::App* const next = pmt::app::command_named(*at, word)) at = next;
    if (word == "--") break;
    const std::string name = word.substr(0, word.find('='));
    if (!name.starts_with("--") || at->get_option_no_throw(name) != nullptr) continue;
    std::vector<std::string> names;
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& each : option->get_lnames()) names.push_back("--" + each);
    }
    const std::string_view meant = pmt::app::nearest(name, {names.begin(), names.end()});
    return fmt::format("no option {}{}", name,
                       meant.empty() ? "" : fmt::format(" (did you mean {}?)", meant));
  }
  return "";
}

/// A process that was started without stdin, stdout or stderr would give their numbers to the next files that
/// it opens, and what it prints would go into a database.
void open_standard_files() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) ::close(fd);
}

int wrong_usage(const std::string& what) {
  pmt::app::report_error(pmt::base::invalid(what));
  pmt::app::tell("More: permutation --help, permutation COMMAND --help\n");
  return kExitWrongUsage;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_files();
  // Past a limit on file sizes, or to a pipe or socket whose reader left, a write fails, and whoever wrote
  // says so; the process doesn't end over it.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App root("", "permutation");
  pmt::app::Command chosen;
  pmt::app::add_commands(root, chosen);
  if (asks_for_json(argc, argv)) pmt::app::report_as_json();
  if (const std::string wrong = unknown_command(root, argc, argv); !wrong.empty()) return wrong_usage(wrong);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return root.exit(error);
    const bool extra = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
    const std::string unknown = extra ? unknown_option(root, argc, argv) : "";
    return wrong_usage(unknown.empty() ? error.what() : unknown);
  }
  try {
    return chosen();
  } catch (const std::system_error& error) {
    // Whoever read our output has had enough (`| head`): no news to anybody.
    if (error.code() != std::errc::broken_pipe) pmt::app::tell("permutation: {}\n", error.what());
    return kExitFailed;
  } catch (const std::exception& error) {  // e.g. out of memory: nothing of ours throws
    pmt::app::tell("permutation: {}\n", error.what());
    return kExitFailed;
  }
}
