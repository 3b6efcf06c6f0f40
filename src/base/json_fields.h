// Typed reading of JSON fields. A reader writes its target only when the value is right, and otherwise
// returns an error whose message starts with "must" and whose field is the path below the value ("" for the
// value itself). read_object and read_array put names in front of it on the way up; name_field makes the
// sentence at the top.
// Requires: who includes it links simdjson, which the room itself links only for its own sources.
// Thread-safety: pure functions.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "base/result.h"

namespace pmt::base {

/// A value of a document that simdjson has checked. Lives as long as its parser's document.
using Json = simdjson::dom::element;

struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_excluded = false;
  bool max_excluded = false;
};

/// "must be WHAT, not VALUE".
Error mismatch(std::string_view what, Json value);
/// Puts `name` in front of the error's field: "[0].role" below "messages" is "messages[0].role".
Error below(std::string_view name, Error error);
/// Turns "must be ..." into "'field' must be ...".
Error name_field(Error error);
/// ", did you mean 'x'?" with the nearest of `known`, or the whole list where none is near.
std::string suggestion(std::string_view unknown, const std::vector<std::string_view>& known);

Result<double> as_number(Json value, Range range);
Result<std::int64_t> as_integer(Json value, std::int64_t min, std::int64_t max);

template <class T>
Status number(Json value, Range range, T& out) {
  TRY_ASSIGN(const double v, as_number(value, range));
  if constexpr (std::is_same_v<T, float>) {
    out = static_cast<float>(v);
  } else {
    out = v;
  }
  return {};
}

template <class T>
Status integer(Json value, std::int64_t min, std::int64_t max, T& out) {
  TRY_ASSIGN(const std::int64_t v, as_integer(value, min, max));
  if constexpr (std::is_arithmetic_v<T>) {
    out = static_cast<T>(v);
  } else {
    out = static_cast<typename T::value_type>(v);
  }
  return {};
}

Status text(Json value, std::size_t bytes_max, std::string& out);

template <class T>
Status flag(Json value, T& out) {
  bool v = false;
  if (value.get(v) != simdjson::SUCCESS) return mismatch("true or false", value);
  out = v;
  return {};
}

/// "must be one of a, b, c, not ...".
Error not_one_of(const std::vector<std::string_view>& names, Json value);

template <class E>
Status one_of(Json value, std::initializer_list<std::pair<std::string_view, E>> choices, E& out) {
  std::string_view name;
  if (value.get(name) == simdjson::SUCCESS) {
    for (const auto& [choice, meaning] : choices) {
      if (choice != name) continue;
      out = meaning;
      return {};
    }
  }
  std::vector<std::string_view> names;
  for (const auto& choice : choices) names.push_back(choice.first);
  return not_one_of(names, value);
}

/// Calls `read(item)` for each item, at most `items_max` of them.
template <class F>
Status read_array(Json value, std::size_t items_max, F&& read) {
  simdjson::dom::array items;
  if (value.get(items) != simdjson::SUCCESS) return mismatch("an array", value);
  std::size_t i = 0;
  for (const Json item : items) {
    if (i == items_max) return invalid("must have at most " + std::to_string(items_max) + " items");
    if (Status s = read(item); !s) return below("[" + std::to_string(i) + "]", s.error());
    ++i;
  }
  return {};
}

/// How one field of an object is read into a T. `read` is not called for null, which means "not given".
template <class T>
struct Rule {
  std::string_view name;
  Status (*read)(Json value, T& into);
};

/// One member of an object by its rule.
template <class T>
Status read_member(const Rule<T>& rule, Json value, T& into) {
  if (value.is_null()) return {};
  if (Status read = rule.read(value, into); !read) return below(rule.name, read.error());
  return {};
}

/// The error of a member that no rule reads. `known`: those that there are.
Error not_a_setting(std::string_view name, const std::vector<std::string_view>& known);

enum class UnknownKeys { kIgnored, kRefused };

/// Gets each key that has no rule.
template <class T>
using KeepUnknown = void(std::string_view key, Json value, T& into);

/// Gets the error of a key whose value is refused; true: reading goes on without it.
template <class T>
using PassOver = bool(std::string_view key, const Error& error, T& into);

/// Reads an object by rules, in the document's order; of a repeated key the last one counts.
template <class T>
Status read_object(Json value, std::span<const Rule<T>> rules, UnknownKeys unknown, T& into,
                   KeepUnknown<T>* keep = nullptr, PassOver<T>* pass_over = nullptr) {
  simdjson::dom::object fields;
  if (value.get(fields) != simdjson::SUCCESS) return mismatch("an object", value);
  for (const auto field : fields) {
    const Rule<T>* rule = nullptr;
    for (const Rule<T>& r : rules) {
      if (r.name == field.key) rule = &r;
    }
    if (rule == nullptr) {
      if (keep != nullptr) keep(field.key, field.value, into);
      if (unknown == UnknownKeys::kIgnored) continue;
      std::vector<std::string_view> known;
      for (const Rule<T>& r : rules) known.push_back(r.name);
      return not_a_setting(field.key, known);
    }
    const Status read = read_member(*rule, field.value, into);
    if (read) continue;
    if (pass_over == nullptr || !pass_over(rule->name, read.error(), into)) return read.error();
  }
  return {};
}

}  // namespace pmt::base
