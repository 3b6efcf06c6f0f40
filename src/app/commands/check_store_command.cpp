// permutation check-store FILE: whether a response cache's file is whole, for the server that starts it.
#include <memory>
#include <string>

#include "app/commands/commands.h"
#include "response_cache/disk/store_check.h"

namespace pmt::app {

void add_check_store(CLI::App& root, Command& chosen) {
  const auto file = std::make_shared<std::string>();
  CLI::App* command = root.add_subcommand(kCheckStoreCommand, "Whether a response cache's file is whole");
  command->group("");  // in no list
  command->add_option("FILE", *file)->required();
  command->callback(
      [&chosen, file] { chosen = [file] { return response_cache::answer_store_check(*file); }; });
}

}  // namespace pmt::app
