// The one door for JSON from outside: a text (or CBOR) becomes a tree that is never deeper than a limit, so
// that what walks a tree later may recurse (dump, compare, copy, canonical form); and reads of a tree by
// type, which never throw, whatever it holds. A request's own body has a door of its own in api/, with the
// same limits. Thread-safety: pure functions. Memory may run out (std::bad_alloc), as anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::base {

/// Levels of arrays and objects: 0 for a number, 1 for [], 2 for [[]].
inline constexpr std::size_t kJsonDepthMax = 64;
inline constexpr std::size_t kJsonBytesMax = 32U << 20;

struct JsonLimits {
  std::size_t bytes_max = kJsonBytesMax;
  std::size_t depth_max = kJsonDepthMax;  // <= 256: recursion over it needs little of a thread's stack
  bool byte_strings = false;              // CBOR's, as nlohmann's binary values
};

/// The whole text's value. Of a member that comes twice the last one counts. Errors: kInvalidArgument, as
/// what follows "it is ...": not JSON (line, column and what is wrong there), too deep, too long (with the
/// limit). Cost: that of nlohmann's parser; what is too deep or too long is left where that shows.
Result<nlohmann::json> parse_json(std::string_view text, const JsonLimits& limits = {});
Result<nlohmann::json> parse_json(std::string_view text, std::size_t bytes_max);

/// Whether the text is JSON within the limits, for what is read by base/json_text.h: builds no tree. Errors: as
/// parse_json. Cost: some 1 ns a byte.
Status check_json(std::string_view text, const JsonLimits& limits = {});

/// parse_json for CBOR, with JSON's types only: no tags, byte strings only where the limits say so, and every
/// text is UTF-8. Numbers may be infinite or not a number.
Result<nlohmann::json> parse_cbor(std::string_view bytes, const JsonLimits& limits = {});

/// What the library's parser says of a text ("[json.exception.parse_error.101] parse error at line 1, column
/// 7: syntax error ..."), without the lead. It quotes the last token, which may be all of the text: at most 240
/// bytes are kept.
std::string parse_error_text(std::string_view what);

/// For a tree that was put together from several: whether it has at most `depth_max` levels. Looks no deeper.
bool fits_depth(const nlohmann::json& tree, std::size_t depth_max = kJsonDepthMax);

/// The member, or null if it is absent or `object` is no object. Lives as long as `object`.
const nlohmann::json& at(const nlohmann::json& object, std::string_view key);

/// The member if it has that type, else an empty array or object: to be iterated over.
const nlohmann::json& array_at(const nlohmann::json& object, std::string_view key);
const nlohmann::json& object_at(const nlohmann::json& object, std::string_view key);

/// The first item of a member that is an array, else null.
const nlohmann::json& first_at(const nlohmann::json& object, std::string_view key);

/// The member if it is a string, else "".
std::string text_at(const nlohmann::json& object, std::string_view key);

/// The member if it is a whole number of 64 bits with a sign (2.0 is one), a finite number, true or false.
std::optional<std::int64_t> integer_at(const nlohmann::json& object, std::string_view key);
std::optional<double> number_at(const nlohmann::json& object, std::string_view key);
std::optional<bool> flag_at(const nlohmann::json& object, std::string_view key);

/// The same of a value itself: of an array's item.
std::optional<std::string> as_text(const nlohmann::json& value);
std::optional<std::int64_t> as_integer(const nlohmann::json& value);
std::optional<double> as_number(const nlohmann::json& value);

}  // namespace pmt::base
