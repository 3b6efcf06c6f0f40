// Another server's JSON, read by type: absent and wrong are the same, nothing throws. Texts stay as they were written.
// Requires: but for check_object, that the text was checked. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "base/result.h"

namespace pmt::upstream {

using Members = std::vector<base::JsonMember>;

/// Errors: kBadGateway, `what` is no JSON object. `api`: whose answer it should be, as "OpenAI's".
base::Status check_object(std::string_view text, const char* what, std::string_view api = "OpenAI's");

/// The member's text, "" where it is none.
std::string text_of(const Members& members, std::string_view name);
/// A number of tokens: what isn't one is 0.
std::int64_t count_of(const Members& members, std::string_view name);
/// The member's own members; none where it is no object.
Members members_at(const Members& members, std::string_view name);
/// The member's items; none where it is no array.
std::vector<std::string_view> items_at(const Members& members, std::string_view name);

bool is_one_of(std::string_view name, std::span<const std::string_view> names);

/// Appends one member, or a value, to members that are put together by commas.
void add_member(std::string& members, std::string_view name, std::string_view value);
void add_whole(std::string& members, std::string_view whole);

/// A function's call as chat has it: an object's text.
std::string chat_call(std::string_view id, std::string_view name, std::string_view arguments);

}  // namespace pmt::upstream
