// JSON as text, for what is passed on as it was written: how deep it nests, and an object's members with
// their values' own text. No tree is built, so order, numbers and repeated members stay as they are.
// Thread-safety: pure functions. Cost: one pass over the text (object_members: a parse
// and a pass). No recursion.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pmt::base {

/// Whether brackets outside of strings are open more than `levels` deep anywhere. The text may be anything.
bool nests_deeper(std::string_view text, std::size_t levels);

struct JsonMember {
  std::string name;
  std::string_view value;  // into the text, without white space around it
};

/// The members of a JSON object in the text's order; null where the text is no valid JSON object.
std::optional<std::vector<JsonMember>> object_members(std::string_view text);

/// The text that a JSON string, given with its quotes, means; null where it is none.
std::optional<std::string> json_string(std::string_view quoted);

/// `text` as a JSON string, in quotes. Bytes that aren't UTF-8 become U+FFFD.
std::string json_quoted(std::string_view text);

}  // namespace pmt::base
