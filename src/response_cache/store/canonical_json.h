// Canonical JSON (RFC 8785, JCS): one byte string for all ways of writing the same value, so that it can be
// hashed. Members sorted by their names' UTF-16 code units, numbers as ECMAScript prints them, the least
// escaping, no white space.
// How we differ: an integer past 2^53 keeps all its digits. RFC 8785 takes it as a double, by which two
// different seeds would get one cache key. Strings pass as the bytes they are, valid UTF-8 or not.
// Thread-safety: pure functions. Any depth is safe: no recursion.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pmt::response_cache {

std::string canonical_json(const nlohmann::json& value);

/// The parts, for writers that have no json tree.
void append_canonical(std::string& out, const nlohmann::json& value);
void append_canonical_string(std::string& out, std::string_view text);
/// Not finite: null, as JSON has no word for it.
void append_canonical_number(std::string& out, double value);
/// The order of member names.
bool utf16_less(std::string_view a, std::string_view b);

}  // namespace pmt::response_cache
