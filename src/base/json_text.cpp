#include "base/json_text.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include <simdjson.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/trimmed.h"

namespace pmt::base {
namespace {

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace

std::size_t past_string(std::string_view text, std::size_t at) {
  for (std::size_t from = at + 1; from < text.size();) {
    const void* const found = std::memchr(text.data() + from, '"', text.size() - from);
    if (found == nullptr) break;
    const auto quote = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    std::size_t escapes = 0;
    while (quote - escapes > at + 1 && text[quote - escapes - 1] == '\\') ++escapes;
    if (escapes % 2 == 0) return quote + 1;
    from = quote + 1;
  }
  return text.size();
}

namespace {

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

namespace {

/// Where the next member's name begins, or the object ends.
std::size_t next_name(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] != '"' && text[at] != '}') ++at;
  return at;
}

/// Of text that was checked, so what has no escape means itself.
std::string name_of(std::string_view quoted) {
  if (quoted.size() >= 2 && quoted.find('\\') == std::string_view::npos)
    return std::string(quoted.substr(1, quoted.size() - 2));
  return json_string(quoted).value_or("");
}

}  // namespace

std::vector<JsonMember> members_of(std::string_view text) {
  constexpr std::size_t kUsualMembers = 8;
  std::vector<JsonMember> members;
  members.reserve(kUsualMembers);
  std::size_t at = next_name(text, 0);
  while (at < text.size() && text[at] == '"') {
    const std::size_t name_end = past_string(text, at);
    const std::size_t begin = std::min(text.find(':', name_end), text.size() - 1) + 1;
    const std::size_t end = end_of_value(text, begin);
    const std::string_view value = trimmed(text.substr(begin, end - begin));
    const std::string_view quoted = text.substr(at, name_end - at);
    members.push_back({name_of(quoted), value, quoted, trimmed(text.substr(at, end - at))});
    at = next_name(text, end);
  }
  return members;
}

std::vector<std::string_view> items_of(std::string_view text) {
  std::vector<std::string_view> items;
  for (std::size_t at = text.find('['); at < text.size() && text[at] != ']';) {
    const std::size_t end = end_of_value(text, ++at);
    const std::string_view item = trimmed(text.substr(at, end - at));
    if (!item.empty()) items.push_back(item);
    at = end;
  }
  return items;
}

std::string_view value_of(const std::vector<JsonMember>& members, std::string_view name) {
  const auto found =
      std::find_if(members.rbegin(), members.rend(), [&](const JsonMember& one) { return one.name == name; });
  return found == members.rend() ? std::string_view() : found->value;
}

std::string members_without(std::string_view text, std::span<const std::string_view> names) {
  std::string out;
  for (const JsonMember& member : members_of(text)) {
    if (std::find(names.begin(), names.end(), member.name) != names.end()) continue;
    out.append(out.empty() ? "" : ",").append(member.whole);
  }
  return out;
}

std::optional<std::int64_t> json_integer(std::string_view value) {
  if (value.empty()) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc() && end == value.data() + value.size()) return number;
  const auto parsed = parse_json(value);
  return parsed ? as_integer(*parsed) : std::nullopt;
}

std::optional<std::vector<JsonMember>> object_members(std::string_view text) {
  text = trimmed(text);
  if (!text.starts_with('{') || !check_json(text)) return std::nullopt;
  return members_of(text);
}

std::optional<std::string> json_string(std::string_view quoted) {
  quoted = trimmed(quoted);
  if (!quoted.starts_with('"')) return std::nullopt;
  const bool plain = quoted.size() >= 2 && past_string(quoted, 0) == quoted.size() && quoted.ends_with('"') &&
                     quoted.find('\\') == std::string_view::npos;
  if (plain && simdjson::validate_utf8(quoted.data(), quoted.size()) && !has_control(quoted))
    return std::string(quoted.substr(1, quoted.size() - 2));
  const auto value = parse_json(quoted);
  return value ? as_text(*value) : std::nullopt;
}

std::string json_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace pmt::base
