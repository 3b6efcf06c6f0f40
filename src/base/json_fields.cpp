#include "base/json_fields.h"

#include <algorithm>

#include <fmt/format.h>

namespace pmt::base {
namespace {

constexpr std::size_t kQuotedMax = 48;

std::string shown(Json value) {
  switch (value.type()) {
    case simdjson::dom::element_type::ARRAY:
      return "an array";
    case simdjson::dom::element_type::OBJECT:
      return "an object";
    case simdjson::dom::element_type::INT64:
      return fmt::to_string(value.get_int64().value_unsafe());
    case simdjson::dom::element_type::UINT64:
      return fmt::to_string(value.get_uint64().value_unsafe());
    case simdjson::dom::element_type::DOUBLE:
      return fmt::to_string(value.get_double().value_unsafe());
    case simdjson::dom::element_type::BOOL:
      return value.get_bool().value_unsafe() ? "true" : "false";
    case simdjson::dom::element_type::NULL_VALUE:
      return "null";
    case simdjson::dom::element_type::STRING:
      break;
  }
  const std::string_view s = value.get_string().value_unsafe();
  if (s.empty()) return "an empty string";
  return fmt::format("the string \"{}\"{}", s.substr(0, kQuotedMax), s.size() > kQuotedMax ? "..." : "");
}

std::string described(const Range& range, std::string_view kind) {
  const bool low = std::isfinite(range.min), high = std::isfinite(range.max);
  std::string out(kind);
  if (low && high && !range.min_excluded && !range.max_excluded) {
    return fmt::format("{} between {} and {}", out, range.min, range.max);
  }
  if (low) out += fmt::format(" {} {}", range.min_excluded ? "above" : "of at least", range.min);
  if (high) {
    out += fmt::format("{} {} {}", low ? " and" : "", range.max_excluded ? "below" : "at most", range.max);
  }
  return out;
}

bool inside(const Range& range, double v) {
  return (range.min_excluded ? v > range.min : v >= range.min) &&
         (range.max_excluded ? v < range.max : v <= range.max);
}

/// Levenshtein's distance, for names: both short.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

Error mismatch(std::string_view what, Json value) {
  return invalid(fmt::format("must be {}, not {}", what, shown(value)));
}

Error below(std::string_view name, Error error) {
  const bool joined = error.field.empty() || error.field.front() == '[';
  error.field = fmt::format("{}{}{}", name, joined ? "" : ".", error.field);
  return error;
}

Error name_field(Error error) {
  if (error.field.empty()) return error;
  const bool ended = !error.message.empty() && (error.message.back() == '?' || error.message.back() == '.');
  error.message = fmt::format("'{}' {}{}", error.field, error.message, ended ? "" : ".");
  return error;
}

std::string suggestion(std::string_view unknown, const std::vector<std::string_view>& known) {
  constexpr std::size_t kNameMax = 64;  // the distance costs the product of the lengths
  std::string_view nearest;
  std::size_t distance = std::max<std::size_t>(2, unknown.size() / 2) + 1;
  for (const std::string_view name : known) {
    if (unknown.size() > kNameMax) break;
    const std::size_t d = edit_distance(unknown, name);
    if (d < distance) {
      distance = d;
      nearest = name;
    }
  }
  if (!nearest.empty()) return fmt::format(", did you mean '{}'?", nearest);
  return fmt::format("; there are {}", fmt::join(known, ", "));
}

Error not_a_setting(std::string_view name, const std::vector<std::string_view>& known) {
  const std::string shown_name(name.empty() ? std::string_view("\"\"") : name);
  return below(shown_name, invalid("is not a setting" + suggestion(shown_name, known)));
}

Result<double> as_number(Json value, Range range) {
  double v = 0;
  if (!value.is_number() || value.get(v) != simdjson::SUCCESS || !inside(range, v)) {
    return mismatch(described(range, "a number"), value);
  }
  return v;
}

Result<std::int64_t> as_integer(Json value, std::int64_t min, std::int64_t max) {
  std::int64_t v = 0;
  double whole = 0;
  bool good = value.get(v) == simdjson::SUCCESS;
  if (!good && value.is_double() && value.get(whole) == simdjson::SUCCESS) {
    // Some languages write 5 as 5.0. The bound, 2^63, keeps the cast defined.
    good = whole == std::floor(whole) && whole >= -0x1p63 && whole < 0x1p63;
    if (good) v = static_cast<std::int64_t>(whole);
  }
  if (!good || v < min || v > max) {
    using Limits = std::numeric_limits<std::int64_t>;
    const bool too_large = value.type() == simdjson::dom::element_type::UINT64 ||
                           (value.is_number() && std::abs(whole) > 9.0e18);
    const bool unbounded = max == Limits::max() && !too_large;
    const std::string what = min == Limits::min() && unbounded ? "an integer"
                             : unbounded                       ? fmt::format("an integer of at least {}", min)
                                         : fmt::format("an integer between {} and {}", min, max);
    return mismatch(what, value);
  }
  return v;
}

Status text(Json value, std::size_t bytes_max, std::string& out) {
  std::string_view v;
  if (value.get(v) != simdjson::SUCCESS) return mismatch("a string", value);
  if (v.size() > bytes_max) {
    return invalid(fmt::format("must be at most {} bytes long, not {}", bytes_max, v.size()));
  }
  out = v;
  return {};
}

Error not_one_of(const std::vector<std::string_view>& names, Json value) {
  return mismatch(fmt::format("one of {}", fmt::join(names, ", ")), value);
}

}  // namespace pmt::base
