#include "app/wiring/reload.h"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace pmt::app {
namespace {

struct Place {
  std::string_view table, key;  // "": all of the table
};
constexpr std::array kReloaded = {Place{"key", ""},
                                  Place{"prices", ""},
                                  Place{"log", "level"},
                                  Place{"log", "path"},
                                  Place{"server", "stop_grace_ms"},
                                  Place{"server", "tls_certificate"},
                                  Place{"server", "tls_key"}};

bool is_reloaded(std::string_view table, std::string_view key) {
  return std::ranges::any_of(kReloaded,
                             [&](const Place& place) { return place.table == table && place.key == key; });
}

std::string text_of(const toml::node* node) {
  if (node == nullptr) return "";
  std::ostringstream text;
  node->visit([&text](const auto& value) { text << value; });
  return text.str();
}

std::set<std::string> keys_of(const toml::table& one, const toml::table& other) {
  std::set<std::string> keys;
  for (const toml::table* table : {&one, &other}) {
    for (const auto& [key, node] : *table) keys.emplace(key.str());
  }
  return keys;
}

}  // namespace

std::vector<std::string> needs_restart(std::string_view before_text, std::string_view now_text) {
  const toml::table before = toml::parse(before_text), now = toml::parse(now_text);
  const toml::table none;
  std::vector<std::string> out;
  for (const std::string& name : keys_of(before, now)) {
    const toml::node* const was = before.get(name);
    const toml::node* const is = now.get(name);
    if (is_reloaded(name, "") || text_of(was) == text_of(is)) continue;
    if ((was != nullptr && !was->is_table()) || (is != nullptr && !is->is_table())) {
      out.push_back(fmt::format("[[{}]]", name));
      continue;
    }
    const toml::table& old_table = was == nullptr ? none : *was->as_table();
    const toml::table& new_table = is == nullptr ? none : *is->as_table();
    for (const std::string& key : keys_of(old_table, new_table)) {
      if (!is_reloaded(name, key) && text_of(old_table.get(key)) != text_of(new_table.get(key)))
        out.push_back(fmt::format("[{}] {}", name, key));
    }
  }
  return out;
}

base::Status may_reload(const Config& before, const Config& now) {
  if (before.service.keys.empty() || !now.service.keys.empty()) return {};
  return base::invalid(
      "it has no [[key]] any more, and would let everybody in who reaches it: restart if that is meant",
      "key");
}

}  // namespace pmt::app
