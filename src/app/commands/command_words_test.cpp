// The command line as CLI11 has it: what is completed, and that every command shows examples that it would take.
#include "app/commands/command_words.h"

#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "app/commands/commands.h"

namespace pmt::app {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Line {
  CLI::App root{"", "permutation"};
  Command chosen;
  Line() { add_commands(root, chosen); }
};

std::vector<std::string> completed(const std::vector<std::string>& words) {
  const Line line;
  return completions(line.root, words);
}

TEST(CommandWordsTest, CommandsOptionsAndNothingForValues) {
  EXPECT_THAT(completed({"cal"}), ElementsAre("calibrate"));
  EXPECT_THAT(completed({"models", ""}), ElementsAre("list", "pull", "remove", "check"));
  EXPECT_THAT(completed({"models", "list", "--j"}), ElementsAre("--json"));
  EXPECT_THAT(completed({"serve", "--po"}), ElementsAre("--port"));
  EXPECT_THAT(completed({"serve", "--config", ""}), IsEmpty()) << "a file comes";
  EXPECT_THAT(completed({"ask", "--verbose", "x"}), IsEmpty());
  EXPECT_THAT(completed({"check-s"}), IsEmpty()) << "not for people";
}

/// As a shell splits it, up to where its output is sent.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream in(line.substr(0, line.find(" > ")));
  for (std::string word; in >> word;) {
    if (word.starts_with('"') && (word.size() == 1 || !word.ends_with('"'))) {
      std::string rest;
      std::getline(in, rest, '"');
      word += rest + '"';
    }
    out.push_back(word.starts_with('"') ? word.substr(1, word.size() - 2) : word);
  }
  return out;
}

std::vector<std::string> example_lines(const std::string& footer) {
  std::vector<std::string> out;
  std::istringstream in(footer);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("  permutation ")) out.push_back(line.substr(2));
  }
  return out;
}

/// Why the line is refused; "": it isn't.
std::string refused(const std::string& example) {
  Line line;
  const std::vector<std::string> words = words_of(example);
  try {
    line.root.parse(
        std::vector<std::string>(words.rbegin(), words.rend() - 1));  // CLI11 takes the last first
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return line.chosen ? "" : "no command";
}

TEST(CommandWordsTest, EveryCommandShowsExamplesThatItTakes) {
  const Line line;
  int leaves = 0;
  const std::function<void(const CLI::App&)> look = [&](const CLI::App& app) {
    const auto below = shown_commands(app);
    for (const CLI::App* sub : below) look(*sub);
    if (!below.empty()) return;
    ++leaves;
    const auto lines = example_lines(app.get_footer());
    EXPECT_FALSE(lines.empty()) << app.get_name();
    for (const std::string& example : lines) EXPECT_EQ(refused(example), "") << example;
  };
  look(line.root);
  EXPECT_GT(leaves, 20);
}

TEST(CommandWordsTest, AWrongExampleIsRefused) {
  EXPECT_NE(refused("permutation ask --no-such-option x"), "");
  EXPECT_NE(refused("permutation nothing"), "");
}

}  // namespace
}  // namespace pmt::app
