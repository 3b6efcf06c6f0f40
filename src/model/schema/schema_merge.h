// Two JSON schemas as one that allows what both allow: allOf, keywords beside anyOf, and $ref with siblings.
// Thread-safety: pure functions. Cost: linear in both; alternatives on both sides are multiplied, up to a
// limit.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::model {

using Schema = nlohmann::ordered_json;

/// A member that the merging adds: names of keywords that couldn't be put together, of which one is left out.
inline constexpr char kUnmerged[] = "\1unmerged";
/// Names that an object must not have.
inline constexpr char kAbsent[] = "\1absent";

/// Both as objects or booleans. Errors: kInvalidArgument, "is too complex: ...".
base::Result<Schema> merge_schemas(const Schema& a, const Schema& b);

/// Whether it says anything about values: more than a title and the like.
bool has_assertions(const Schema& schema);

/// The types that it allows by `type`, `nullable`, `const` and `enum`; all seven where it has none of these.
std::vector<std::string> types_of(const Schema& schema);
/// "null", "boolean", "integer", "number", "string", "array" or "object".
std::string type_of_value(const Schema& value);
/// Whether a value of type `value_type` is of the type `type` (an integer is a number).
bool is_of_type(const std::string& value_type, const std::string& type);

/// Whether no value fits both, as far as that is easily seen: other types, other constants, or objects of
/// which each needs a member that the other one hasn't got.
bool are_disjoint(const Schema& a, const Schema& b);

/// The same of all of them at once, where each is made of constants; else nothing. Cost: a sort of the values.
std::optional<bool> constants_apart(const std::vector<Schema>& schemas);

}  // namespace pmt::model
