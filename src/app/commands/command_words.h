// The command line's words as CLI11 knows them: what may come next.
// Thread-safety: const.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace pmt::app {

/// The subcommands that people are shown.
std::vector<const CLI::App*> shown_commands(const CLI::App& app);

/// The subcommand of this name, one that people aren't shown as well; null: there is none.
const CLI::App* command_named(const CLI::App& app, const std::string& name);

/// What `words` (those after the program's name, the last one unfinished) may be completed to: commands, and options that
/// begin with a dash. Empty where a value or a file comes.
std::vector<std::string> completions(const CLI::App& root, const std::vector<std::string>& words);

}  // namespace pmt::app
