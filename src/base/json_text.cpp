#include "base/json_text.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace pmt::base {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// Past the string that begins at `at`, or the text's end.
std::size_t past_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

/// Where the value that begins at `at` ends, in valid JSON: at its object's next comma or closing brace.
std::size_t end_of_value(std::string_view text, std::size_t at) {
  std::size_t open = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = past_string(text, at);
      continue;
    }
    if (open == 0 && (c == ',' || c == '}' || c == ']')) return at;
    if (c == '[' || c == '{') ++open;
    if (c == ']' || c == '}') --open;
    ++at;
  }
  return at;
}

}  // namespace

bool nests_deeper(std::string_view text, std::size_t levels) {
  std::size_t open = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      at = past_string(text, at);
      continue;
    }
    if ((c == '[' || c == '{') && ++open > levels) return true;
    if ((c == ']' || c == '}') && open > 0) --open;
    ++at;
  }
  return false;
}

std::optional<std::vector<JsonMember>> object_members(std::string_view text) {
  text = trimmed(text);
  if (!text.starts_with('{') || !parse_json(text)) return std::nullopt;
  std::vector<JsonMember> members;
  std::size_t at = text.find_first_of("\"}", 1);
  while (at < text.size() && text[at] == '"') {
    const std::size_t name_end = past_string(text, at);
    std::optional<std::string> name = json_string(text.substr(at, name_end - at));
    if (!name) return std::nullopt;
    const std::size_t begin = text.find(':', name_end) + 1;
    const std::size_t end = end_of_value(text, begin);
    members.push_back({std::move(*name), trimmed(text.substr(begin, end - begin))});
    at = text.find_first_of("\"}", end);
  }
  return members;
}

std::optional<std::string> json_string(std::string_view quoted) {
  quoted = trimmed(quoted);
  if (!quoted.starts_with('"')) return std::nullopt;
  const auto value = parse_json(quoted);
  return value ? as_text(*value) : std::nullopt;
}

std::string json_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace pmt::base
