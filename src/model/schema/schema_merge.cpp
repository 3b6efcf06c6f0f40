#include "model/schema/schema_merge.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace pmt::model {
namespace {

constexpr std::size_t kAlternativesMax = 256;
constexpr std::size_t kMergeDepthMax = 64;

const Schema& member(const Schema& schema, const char* name) {
  static const Schema kNone;
  if (!schema.is_object()) return kNone;
  const auto found = schema.find(name);
  return found == schema.end() ? kNone : *found;
}

bool contains(const Schema& array, const Schema& value) {
  return array.is_array() && std::find(array.begin(), array.end(), value) != array.end();
}

/// Const as an enum of one; null where there is neither.
Schema values_of(const Schema& schema) {
  if (schema.is_object() && schema.contains("const")) return Schema::array({schema.at("const")});
  return member(schema, "enum");
}

class Merge {
 public:
  base::Result<Schema> both(const Schema& a, const Schema& b, std::size_t depth) {
    if (depth > kMergeDepthMax) return base::invalid("is too complex: merged schemas nest too deep");
    if (a.is_boolean()) return a.get<bool>() ? b : a;
    if (b.is_boolean()) return b.get<bool>() ? a : b;
    Schema out = a;
    for (const auto& [name, value] : b.items()) {
      if (!out.contains(name)) {
        out[name] = value;
      } else if (out.at(name) != value || name == "properties") {
        TRY(one(name, out, a, b, depth));
      }
    }
    TRY(members(out, a, b, depth));
    return out;
  }

 private:
  /// A keyword that both have, in different ways.
  base::Status one(const std::string& name, Schema& out, const Schema& a, const Schema& b,
                   std::size_t depth) {
    const Schema& x = a.at(name);
    const Schema& y = b.at(name);
    if (name == "type") return type(out, x, y);
    if (name == "enum" || name == "const") return {};  // members()
    if (name == "required" || name == kUnmerged || name == kAbsent) return add_all(out[name], y);
    if (is_least(name)) return number(out[name], x, y, true);
    if (is_most(name)) return number(out[name], x, y, false);
    if (name == "multipleOf") return multiple(out, x, y);
    if (name == "anyOf" || name == "oneOf") return product(out[name], x, y, depth);
    if (name == "allOf") return add_all(out[name], y);
    if (name == "properties" || name == "additionalProperties" || name == "prefixItems")
      return {};  // members()
    if (name == "items" || name == "propertyNames" || name == "contains") {
      if (name == "contains" || !is_schema(x) || !is_schema(y)) return unmerged(out, name);
      TRY_ASSIGN(out[name], both(x, y, depth + 1));
      return {};
    }
    if (name == "patternProperties" || name == "dependentRequired")
      return pattern_properties(out, x, y, depth);
    if (name == "not") {
      out[name] = Schema{{"anyOf", Schema::array({x, y})}};
      return {};
    }
    if (name == "uniqueItems") {
      out[name] = true;
      return {};
    }
    if (is_constraint(name)) return unmerged(out, name);
    return {};
  }

  static bool is_schema(const Schema& value) { return value.is_object() || value.is_boolean(); }
  static bool is_least(std::string_view name) {
    return name == "minimum" || name == "exclusiveMinimum" || name == "minLength" || name == "minItems" ||
           name == "minProperties";
  }
  static bool is_most(std::string_view name) {
    return name == "maximum" || name == "exclusiveMaximum" || name == "maxLength" || name == "maxItems" ||
           name == "maxProperties";
  }
  static bool is_constraint(std::string_view name) {
    static constexpr std::string_view kAll[] = {"pattern",
                                                "format",
                                                "if",
                                                "then",
                                                "else",
                                                "minContains",
                                                "maxContains",
                                                "dependentSchemas",
                                                "dependencies",
                                                "unevaluatedProperties",
                                                "unevaluatedItems",
                                                "additionalItems",
                                                "$ref"};
    return std::find(std::begin(kAll), std::end(kAll), name) != std::end(kAll);
  }

  static base::Status unmerged(Schema& out, const std::string& name) {
    Schema& names = out[kUnmerged];
    if (!contains(names, name)) names.push_back(name);
    return {};
  }

  static base::Status add_all(Schema& to, const Schema& from) {
    if (!to.is_array() || !from.is_array()) return {};
    for (const Schema& value : from) {
      if (!contains(to, value)) to.push_back(value);
    }
    return {};
  }

  static base::Status number(Schema& to, const Schema& x, const Schema& y, bool larger) {
    if (x.is_number() && y.is_number()) to = larger == (x.get<double>() < y.get<double>()) ? y : x;
    return {};
  }

  static base::Status multiple(Schema& out, const Schema& x, const Schema& y) {
    const auto whole = [](const Schema& v) { return v.is_number_integer() && v > 0 && v < 1'000'000'000; };
    if (!whole(x) || !whole(y)) return unmerged(out, "multipleOf");
    out["multipleOf"] = std::lcm(x.get<std::int64_t>(), y.get<std::int64_t>());
    return {};
  }

  static base::Status type(Schema& out, const Schema& x, const Schema& y) {
    const auto names = [](const Schema& v) { return v.is_array() ? v : Schema::array({v}); };
    Schema common = Schema::array();
    for (const Schema& a : names(x)) {
      for (const Schema& b : names(y)) {
        if (!a.is_string() || !b.is_string()) continue;
        const auto narrow = is_of_type(a, b) ? a : is_of_type(b, a) ? b : Schema();
        if (!narrow.is_null() && !contains(common, narrow)) common.push_back(narrow);
      }
    }
    out["type"] = common;
    return {};
  }

  base::Status product(Schema& to, const Schema& x, const Schema& y, std::size_t depth) {
    if (!x.is_array() || !y.is_array()) return {};
    if (x.size() * y.size() > kAlternativesMax)
      return base::invalid(fmt::format("is too complex: {} alternatives at once, at most {}",
                                       x.size() * y.size(), kAlternativesMax));
    to = Schema::array();
    for (const Schema& a : x) {
      for (const Schema& b : y) {
        TRY_ASSIGN(Schema one, both(a, b, depth + 1));
        to.push_back(std::move(one));
      }
    }
    return {};
  }

  base::Status pattern_properties(Schema& out, const Schema& x, const Schema& y, std::size_t depth) {
    const bool schemas = out.contains("patternProperties") && out.at("patternProperties") == x;
    Schema all = x;
    if (!x.is_object() || !y.is_object()) return {};
    for (const auto& [name, value] : y.items()) {
      if (!all.contains(name)) {
        all[name] = value;
      } else if (schemas) {
        TRY_ASSIGN(all[name], both(all.at(name), value, depth + 1));
      } else {
        TRY(add_all(all[name], value));
      }
    }
    out[schemas ? "patternProperties" : "dependentRequired"] = std::move(all);
    return {};
  }

  /// What the other one's additionalProperties and items say of members that only one knows; and values.
  base::Status members(Schema& out, const Schema& a, const Schema& b, std::size_t depth) {
    if (a.contains("properties") || b.contains("properties")) TRY(properties(out, a, b, depth));
    if (a.contains("additionalProperties") && b.contains("additionalProperties")) {
      TRY_ASSIGN(out["additionalProperties"],
                 both(a.at("additionalProperties"), b.at("additionalProperties"), depth + 1));
    }
    if (a.contains("prefixItems") || b.contains("prefixItems")) TRY(prefix(out, a, b, depth));
    const Schema x = values_of(a), y = values_of(b);
    if (x.is_array() && y.is_array() && x != y) {
      Schema common = Schema::array();
      for (const Schema& value : x) {
        if (contains(y, value)) common.push_back(value);
      }
      out.erase("const");
      out["enum"] = std::move(common);
    }
    return {};
  }

  base::Status properties(Schema& out, const Schema& a, const Schema& b, std::size_t depth) {
    Schema all = Schema::object();
    const Schema& x = member(a, "properties");
    const Schema& y = member(b, "properties");
    for (const Schema* const side : {&x, &y}) {
      if (!side->is_object()) continue;
      const Schema& other = side == &x ? y : x;
      const Schema& other_whole = side == &x ? b : a;
      for (const auto& [name, value] : side->items()) {
        if (all.contains(name)) continue;
        if (other.is_object() && other.contains(name)) {
          TRY_ASSIGN(all[name], both(value, other.at(name), depth + 1));
          continue;
        }
        // Patterns of the other side: the compiler merges those in.
        const Schema& rest = member(other_whole, "additionalProperties");
        const bool by_pattern = other_whole.contains("patternProperties");
        if (rest.is_null() || by_pattern) {
          all[name] = value;
        } else {
          TRY_ASSIGN(all[name], both(value, rest, depth + 1));
        }
      }
    }
    out["properties"] = std::move(all);
    return {};
  }

  base::Status prefix(Schema& out, const Schema& a, const Schema& b, std::size_t depth) {
    Schema all = Schema::array();
    const Schema& x = member(a, "prefixItems");
    const Schema& y = member(b, "prefixItems");
    const auto item = [](const Schema& list, const Schema& whole, std::size_t i) -> Schema {
      if (list.is_array() && i < list.size()) return list.at(i);
      const Schema& rest = member(whole, "items");
      return is_schema(rest) ? rest : Schema(true);
    };
    for (std::size_t i = 0; i < std::max(x.size(), y.size()); ++i) {
      TRY_ASSIGN(Schema one, both(item(x, a, i), item(y, b, i), depth + 1));
      all.push_back(std::move(one));
    }
    out["prefixItems"] = std::move(all);
    return {};
  }
};

std::vector<std::string> required_of(const Schema& schema) {
  std::vector<std::string> out;
  for (const Schema& name : member(schema, "required")) {
    if (name.is_string()) out.push_back(name.get<std::string>());
  }
  return out;
}

/// That the second one needs a member which objects written for the first one never have.
bool lacks(const Schema& a, const Schema& b) {
  const Schema& rest = member(a, "additionalProperties");
  const bool open = (!rest.is_null() && rest != Schema(false)) || a.contains("patternProperties") ||
                    !a.contains("properties");
  if (open) return false;
  const auto needed = required_of(b);
  const auto own = required_of(a);
  return std::any_of(needed.begin(), needed.end(), [&](const std::string& name) {
    return !a.at("properties").contains(name) && std::find(own.begin(), own.end(), name) == own.end();
  });
}

}  // namespace

base::Result<Schema> merge_schemas(const Schema& a, const Schema& b) {
  return Merge().both(a, b, 0);
}

bool has_assertions(const Schema& schema) {
  static constexpr std::string_view kNotes[] = {
      "title",   "description", "default", "examples",    "example",    "$schema",  "$id",
      "$anchor", "$comment",    "$defs",   "definitions", "deprecated", "readOnly", "writeOnly"};
  if (!schema.is_object()) return true;
  for (const auto& [name, unused] : schema.items()) {
    if (std::find(std::begin(kNotes), std::end(kNotes), name) == std::end(kNotes)) return true;
  }
  return false;
}

std::string type_of_value(const Schema& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "boolean";
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) {
    const double number = value.get<double>();
    return std::floor(number) == number ? "integer" : "number";
  }
  if (value.is_string()) return "string";
  return value.is_array() ? "array" : "object";
}

bool is_of_type(const std::string& value_type, const std::string& type) {
  return value_type == type || (value_type == "integer" && type == "number");
}

std::vector<std::string> types_of(const Schema& schema) {
  std::vector<std::string> out;
  const auto add = [&out](const std::string& type) {
    if (std::find(out.begin(), out.end(), type) == out.end()) out.push_back(type);
  };
  if (const Schema values = values_of(schema); values.is_array()) {
    for (const Schema& value : values) add(type_of_value(value));
    return out;
  }
  const Schema& type = member(schema, "type");
  if (type.is_string()) add(type.get<std::string>());
  if (type.is_array()) {
    for (const Schema& one : type) {
      if (one.is_string()) add(one.get<std::string>());
    }
  }
  if (!out.empty() && member(schema, "nullable") == Schema(true)) add("null");
  if (out.empty() && !type.is_array()) return {"object", "array", "string", "number", "boolean", "null"};
  return out;
}

bool are_disjoint(const Schema& a, const Schema& b) {
  if (!a.is_object() || !b.is_object()) return a == Schema(false) || b == Schema(false);
  // Without a type, values are written of that which the keywords speak of.
  const auto types = [](const Schema& schema) {
    const bool is_object =
        !schema.contains("type") && (schema.contains("properties") || schema.contains("required"));
    return is_object ? std::vector<std::string>{"object"} : types_of(schema);
  };
  bool common_type = false;
  bool only_objects = true;
  for (const std::string& x : types(a)) {
    for (const std::string& y : types(b)) {
      const bool common = is_of_type(x, y) || is_of_type(y, x);
      common_type = common_type || common;
      if (common && x != "object") only_objects = false;
    }
  }
  if (!common_type) return true;
  const Schema x = values_of(a), y = values_of(b);
  if (x.is_array() && y.is_array())
    return std::none_of(x.begin(), x.end(), [&](const Schema& value) { return contains(y, value); });
  if (!only_objects) return false;
  const auto required = required_of(b);
  for (const std::string& name : required_of(a)) {
    const Schema& p = member(member(a, "properties"), name.c_str());
    const Schema& q = member(member(b, "properties"), name.c_str());
    const bool in_both = std::find(required.begin(), required.end(), name) != required.end();
    if (in_both && p.is_object() && q.is_object() && are_disjoint(p, q)) return true;
  }
  return lacks(a, b) && lacks(b, a);
}

std::optional<bool> constants_apart(const std::vector<Schema>& schemas) {
  std::map<Schema, std::size_t> of;  // which one has the value
  for (std::size_t i = 0; i < schemas.size(); ++i) {
    const Schema values = values_of(schemas[i]);
    if (!values.is_array()) return std::nullopt;
    for (const Schema& value : values) of.try_emplace(value, i);
  }
  for (std::size_t i = 0; i < schemas.size(); ++i) {
    for (const Schema& value : values_of(schemas[i])) {
      if (of.at(value) != i) return false;
    }
  }
  return true;
}

}  // namespace pmt::model
