// permutation completion SHELL: a script by which a shell completes our command lines. The script asks `permutation complete`
// each time, so it knows what this binary knows.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/commands/command_words.h"
#include "app/commands/commands.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"

namespace pmt::app {
namespace {

constexpr char kBash[] = R"(_permutation() {
  local IFS=$'\n'
  COMPREPLY=($(permutation complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -o nosort -F _permutation permutation
)";
constexpr char kZsh[] = R"(#compdef permutation
_permutation() {
  local -a found
  found=("${(@f)$(permutation complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "${found[1]}" ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _permutation permutation
)";
constexpr char kFish[] = R"(function __permutation_complete
  set -l words (commandline -opc) (commandline -ct)
  permutation complete -- $words[2..-1] 2>/dev/null
end
complete -c permutation -a '(__permutation_complete)'
)";

int print_script(const std::string& shell) {
  fmt::print("{}", shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish);
  return kExitDone;
}

int print_words(const CLI::App& root, const std::vector<std::string>& words) {
  for (const std::string& word : completions(root, words)) fmt::print("{}\n", word);
  return kExitDone;
}

}  // namespace

void add_completion(CLI::App& root, Command& chosen) {
  CLI::App* command =
      root.add_subcommand("completion", "A script by which bash, zsh or fish completes command lines");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  add_examples(*command,
               {"permutation completion bash > ~/.local/share/bash-completion/completions/permutation",
                "permutation completion zsh > ~/.zfunc/_permutation",
                "permutation completion fish > ~/.config/fish/completions/permutation.fish"});
  command->callback([&chosen, shell] { chosen = [shell] { return print_script(*shell); }; });

  CLI::App* words = root.add_subcommand("complete", "What may stand in place of the last word");
  words->group("");  // for those scripts, not for people
  const auto line = std::make_shared<std::vector<std::string>>();
  words->add_option("WORD", *line, "The words after `permutation`");
  words->callback([&root, &chosen, line] { chosen = [&root, line] { return print_words(root, *line); }; });
}

}  // namespace pmt::app
