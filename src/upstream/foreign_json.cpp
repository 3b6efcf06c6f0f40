#include "upstream/foreign_json.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/json.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

constexpr std::int64_t kTokensMax = 1'000'000'000'000;  // sums of some of them fit

}  // namespace

base::Status check_object(std::string_view text, const char* what, std::string_view api) {
  if (const base::Status read = base::check_json(text, {.bytes_max = text.size()}); !read)
    return garbage(fmt::format("{} that is {}", what, read.error().message), api);
  if (!text.starts_with('{')) return garbage(fmt::format("{} that is no JSON object", what), api);
  return {};
}

std::string text_of(const Members& members, std::string_view name) {
  return base::json_string(base::value_of(members, name)).value_or("");
}

std::int64_t count_of(const Members& members, std::string_view name) {
  const auto count = base::json_integer(base::value_of(members, name));
  return std::clamp<std::int64_t>(count.value_or(0), 0, kTokensMax);
}

Members members_at(const Members& members, std::string_view name) {
  const std::string_view value = base::value_of(members, name);
  return value.starts_with('{') ? base::members_of(value) : Members();
}

std::vector<std::string_view> items_at(const Members& members, std::string_view name) {
  const std::string_view value = base::value_of(members, name);
  return value.starts_with('[') ? base::items_of(value) : std::vector<std::string_view>();
}

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

void add_member(std::string& members, std::string_view name, std::string_view value) {
  members.append(members.empty() ? "\"" : ",\"").append(name).append("\":").append(value);
}

void add_whole(std::string& members, std::string_view whole) {
  if (!members.empty()) members += ',';
  members += whole;
}

std::string chat_call(std::string_view id, std::string_view name, std::string_view arguments) {
  return fmt::format(R"({{"id":{},"type":"function","function":{{"name":{},"arguments":{}}}}})",
                     base::json_quoted(id), base::json_quoted(name), base::json_quoted(arguments));
}

}  // namespace pmt::upstream
