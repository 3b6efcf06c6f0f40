// The commands: each function adds one subcommand, with its options and help, to the command line. Parsing it
// fills `chosen` with what to run; main() runs it after the whole command line proved right.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace pmt::app {

/// Returns an exit code of exit_code.h.
using Command = std::function<int()>;

/// All of them, and what the program says of itself.
void add_commands(CLI::App& root, Command& chosen);

void add_serve(CLI::App& root, Command& chosen);
void add_ask(CLI::App& root, Command& chosen);
void add_chat(CLI::App& root, Command& chosen);
void add_status(CLI::App& root, Command& chosen);
void add_audit(CLI::App& root, Command& chosen);
void add_models(CLI::App& root, Command& chosen);
void add_cache(CLI::App& root, Command& chosen);
void add_keys(CLI::App& root, Command& chosen);
void add_rlm(CLI::App& root, Command& chosen);
void add_learn(CLI::App& root, Command& chosen);
void add_knowledge(CLI::App& root, Command& chosen);
void add_calibrate(CLI::App& root, Command& chosen);
void add_demo(CLI::App& root, Command& chosen);
/// `root` outlives the command.
void add_completion(CLI::App& root, Command& chosen);

/// Not for people: the server calls itself by it to look at a file that could end whoever opens it.
inline constexpr char kCheckStoreCommand[] = "check-store";
void add_check_store(CLI::App& root, Command& chosen);

}  // namespace pmt::app
