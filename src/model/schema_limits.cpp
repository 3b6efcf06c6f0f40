#include "model/schema_limits.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace pmt::model {
namespace {

using nlohmann::json;

base::Status at_most(std::size_t count, std::size_t most, std::string_view what) {
  if (count <= most) return {};
  return base::invalid(fmt::format("is too complex: it has {} {}, at most {}", count, what, most));
}

/// Counts on the way what a schema asks for. A member that isn't the keyword that it looks like (in an
/// example, say) is counted like one: the limits are far from what anybody needs.
class Walk {
 public:
  Walk(const json& root, const SchemaLimits& limits) : root_(root), limits_(limits) {}

  base::Status run() {
    TRY(visit(root_, 1, 0));
    for (const std::string& reference : references_) TRY(target(reference));
    return {};
  }

 private:
  base::Status visit(const json& value, std::size_t depth, std::size_t name_bytes) {
    TRY(at_most(depth, limits_.depth_max, "levels of nesting"));
    TRY(at_most(++values_, limits_.values_max, "values"));
    if (value.is_string()) return text(value.get_ref<const std::string&>());
    if (value.is_array()) {
      for (const json& item : value) TRY(visit(item, depth + 1, name_bytes));
    }
    if (!value.is_object()) return {};
    TRY(at_most(value.size(), limits_.properties_max, "members in one object"));
    TRY(schema(value));
    for (const auto& [name, member] : value.items()) {
      TRY(text(name));
      const std::size_t there = name_bytes + name.size() + 1;
      TRY(at_most(there, limits_.name_bytes_max, "bytes of names on the way to one value"));
      TRY(at_most(names_bytes_ += there, limits_.names_bytes_max,
                  "bytes of names on the ways to its values"));
      TRY(visit(member, depth + 1, there));
    }
    return {};
  }

  base::Status text(const std::string& text) {
    return at_most(text_bytes_ += text.size(), limits_.text_bytes_max, "bytes of names and constants");
  }

  static std::size_t size_of(const json& value, const char* member) {
    const auto found = value.find(member);
    return found == value.end() || !found->is_structured() ? 0 : found->size();
  }

  base::Status schema(const json& value) {
    TRY(at_most(enum_values_ += size_of(value, "enum"), limits_.enum_values_max, "enum values"));
    for (const char* const member : {"anyOf", "oneOf", "allOf", "type", "prefixItems"})
      alternatives_ += size_of(value, member);
    TRY(at_most(alternatives_, limits_.alternatives_max, "alternatives"));
    TRY(at_most(properties_ += size_of(value, "properties"), limits_.properties_max, "properties"));
    TRY(optional(value));
    if (const auto found = value.find("$ref"); found != value.end() && found->is_string()) {
      references_.insert(found->get<std::string>());
      TRY(at_most(++reference_count_, limits_.references_max, "references"));
    }
    if (const auto found = value.find("pattern"); found != value.end() && found->is_string()) {
      TRY(at_most(++patterns_, limits_.patterns_max, "patterns"));
      TRY(at_most(found->get_ref<const std::string&>().size(), limits_.pattern_bytes_max,
                  "bytes in a pattern"));
    }
    return {};
  }

  base::Status optional(const json& value) {
    std::size_t count = optional_of(value);
    if (const auto all = value.find("allOf"); all != value.end() && all->is_array()) {
      for (const json& part : *all) count += any_of(part);  // a merged object's optional ones
    }
    TRY(at_most(count, limits_.optional_max, "optional properties in one object"));
    if (count * 4 > limits_.optional_max) ++optional_objects_;
    return at_most(optional_objects_, limits_.optional_objects_max,
                   fmt::format("objects with more than {} optional properties", limits_.optional_max / 4));
  }

  static std::size_t optional_of(const json& value) {
    const auto properties = value.find("properties");
    if (properties == value.end() || !properties->is_object()) return 0;
    std::set<std::string> required;
    if (const auto names = value.find("required"); names != value.end() && names->is_array()) {
      for (const json& name : *names) {
        if (name.is_string()) required.insert(name.get<std::string>());
      }
    }
    const auto more = value.find("additionalProperties");
    std::size_t count = more != value.end() && *more != false ? 1 : 0;
    for (const auto& [name, unused] : properties->items()) count += required.contains(name) ? 0 : 1;
    return count;
  }

  std::size_t any_of(const json& part) const {
    std::size_t count = 0;
    for (const char* const member : {"anyOf", "oneOf"}) {
      if (!part.is_object() || size_of(part, member) == 0) continue;
      for (const json& one : part[member]) count += properties_of(one);
    }
    return count;
  }

  std::size_t properties_of(const json& schema) const {
    if (!schema.is_object()) return 0;
    const auto reference = schema.find("$ref");
    if (reference == schema.end() || !reference->is_string()) return size_of(schema, "properties");
    const json* const there = find(reference->get<std::string>());
    return there == nullptr || !there->is_object() ? 0 : size_of(*there, "properties");
  }

  /// As llama.cpp finds it. Null: there is none, which the conversion says better.
  const json* find(std::string_view reference) const {
    if (!reference.starts_with("#/")) return nullptr;
    const json* at = &root_;
    for (std::size_t begin = 2; begin <= reference.size();) {
      const std::size_t end = std::min(reference.find('/', begin), reference.size());
      const std::string name(reference.substr(begin, end - begin));
      begin = end + 1;
      if (at->is_object() && at->contains(name)) {
        at = &(*at)[name];
      } else if (at->is_array()) {
        const auto index = static_cast<std::size_t>(std::strtoull(name.c_str(), nullptr, 10));
        if (index >= at->size()) return nullptr;
        at = &(*at)[index];
      } else {
        return nullptr;
      }
    }
    return at;
  }

  /// Each target is built by itself, one inside the other as they refer to each other.
  base::Status target(const std::string& reference) {
    const json* const there = find(reference);
    if (there == nullptr) return {};
    std::size_t values = 0;
    reference_depth_ += measure(*there, values);
    TRY(at_most(reference_depth_, limits_.reference_depth_max, "levels of nesting in what is referred to"));
    return at_most(reference_values_ += values, limits_.reference_values_max,
                   "values in what is referred to");
  }

  /// The depth. Requires: visited before, so that it is bounded.
  static std::size_t measure(const json& value, std::size_t& values) {
    ++values;
    std::size_t deepest = 0;
    if (value.is_structured()) {
      for (const json& item : value) deepest = std::max(deepest, measure(item, values));
    }
    return deepest + 1;
  }

  const json& root_;
  const SchemaLimits& limits_;
  std::set<std::string> references_;
  std::size_t values_ = 0, properties_ = 0, optional_objects_ = 0, enum_values_ = 0, alternatives_ = 0;
  std::size_t reference_count_ = 0, reference_depth_ = 0, reference_values_ = 0;
  std::size_t text_bytes_ = 0, names_bytes_ = 0, patterns_ = 0;
};

/// Of brackets outside of strings: the parser's result is destroyed by recursion.
std::size_t depth_of(std::string_view text) {
  std::size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      depth -= depth > 0 ? 1 : 0;
    }
  }
  return deepest;
}

}  // namespace

base::Status check_schema(const std::string& schema, const SchemaLimits& limits) {
  TRY(at_most(schema.size(), limits.bytes_max, "bytes"));
  TRY(at_most(depth_of(schema), limits.depth_max, "levels of nesting"));
  const auto value = base::parse_json(schema);
  if (!value) return base::invalid("is no JSON: it is " + value.error().message);
  return Walk(*value, limits).run();
}

}  // namespace pmt::model
