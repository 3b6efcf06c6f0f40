// JSON as text, for what is passed on as it was written: how deep it nests, and the members of an object and
// the items of an array with their own text. No tree is built, so order, numbers and repeated members stay as
// they are. Thread-safety: pure functions. Cost: one pass over the text (object_members: a parse and a pass).
// No recursion.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pmt::base {

/// Whether brackets outside of strings are open more than `levels` deep anywhere. The text may be anything.
bool nests_deeper(std::string_view text, std::size_t levels);

/// Past the string that begins at `at` with its quote, or the text's end.
std::size_t past_string(std::string_view text, std::size_t at);

struct JsonMember {
  std::string name;
  std::string_view value;   // into the text, without white space around it
  std::string_view quoted;  // the name as it stands in the text
  std::string_view whole;   // both, as they stand there
};

/// The members of an object, in the text's order. Requires: `text` was checked (base/json.h). Its braces may be
/// left out, so that members are put together by commas.
std::vector<JsonMember> members_of(std::string_view text);

/// The items of an array. Requires: the same, and that it is an array.
std::vector<std::string_view> items_of(std::string_view text);

/// The member's value, "" if there is none; of a repeated name the last one counts.
std::string_view value_of(const std::vector<JsonMember>& members, std::string_view name);

/// The members that have none of these names, put together by commas, each as it stands in the text. Requires: as
/// members_of.
std::string members_without(std::string_view text, std::span<const std::string_view> names);

/// A value that says nothing: null, or a member that isn't there.
inline bool is_null(std::string_view value) {
  return value.empty() || value == "null";
}

/// A value's text as a whole number of 64 bits (2.0 is one); null where it is none. Requires: it was checked.
std::optional<std::int64_t> json_integer(std::string_view value);

/// The members of a JSON object in the text's order; null where the text is no valid JSON object.
std::optional<std::vector<JsonMember>> object_members(std::string_view text);

/// The text that a JSON string, given with its quotes, means; null where it is none.
std::optional<std::string> json_string(std::string_view quoted);

/// `text` as a JSON string, in quotes. Bytes that aren't UTF-8 become U+FFFD.
std::string json_quoted(std::string_view text);

}  // namespace pmt::base
