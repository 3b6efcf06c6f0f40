#include "app/commands/command_words.h"

#include <string_view>

namespace pmt::app {
namespace {

/// Whether the option takes a value, so that the word after it is one.
bool takes_value(const CLI::App& at, const std::string& name) {
  const CLI::Option* const option = at.get_option_no_throw(name);
  return option != nullptr && option->get_items_expected_max() > 0;
}

std::vector<std::string> options_of(const CLI::App& at, std::string_view begin) {
  std::vector<std::string> out;
  for (const CLI::Option* option : at.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (const std::string word = "--" + name; word.starts_with(begin)) out.push_back(word);
    }
  }
  return out;
}

}  // namespace

std::vector<const CLI::App*> shown_commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); });
}

const CLI::App* command_named(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* sub) { return sub->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

std::vector<std::string> completions(const CLI::App& root, const std::vector<std::string>& words) {
  const CLI::App* at = &root;
  const std::string last = words.empty() ? "" : words.back();
  std::string before;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    before = words[i];
    if (const CLI::App* const next = command_named(*at, before)) at = next;
  }
  if (before.starts_with("--") && takes_value(*at, before)) return {};
  if (last.starts_with('-')) return options_of(*at, last);
  std::vector<std::string> out;
  for (const CLI::App* sub : shown_commands(*at)) {
    if (sub->get_name().starts_with(last)) out.push_back(sub->get_name());
  }
  return out;
}

}  // namespace pmt::app
