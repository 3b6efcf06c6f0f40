#include "app/commands/commands.h"
#include "base/version.h"

namespace pmt::app {

void add_commands(CLI::App& root, Command& chosen) {
  root.description("A local model server with the API of OpenAI and caches that it accounts for.");
  root.set_version_flag("--version", std::string("permutation ") + base::kVersion);
  root.require_subcommand(1);
  root.footer(
      "Exit status: 0 done; 1 it could not be done, and why; 2 the command line or the config is wrong; "
      "130 stopped by Ctrl-C.\nA first look: permutation demo");
  add_demo(root, chosen);
  add_serve(root, chosen);
  add_ask(root, chosen);
  add_chat(root, chosen);
  add_rlm(root, chosen);
  add_status(root, chosen);
  add_audit(root, chosen);
  add_models(root, chosen);
  add_calibrate(root, chosen);
  add_cache(root, chosen);
  add_keys(root, chosen);
  add_learn(root, chosen);
  add_knowledge(root, chosen);
  add_completion(root, chosen);
  add_check_store(root, chosen);
}

}  // namespace pmt::app
