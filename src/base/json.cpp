#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <simdjson.h>

#include <fmt/format.h>

#include "base/ordered_json.h"
#include "base/utf8.h"

namespace pmt::base {
namespace {

using nlohmann::json;

/// Builds the tree from the parser's events. nlohmann's own builder has no limit, and its CBOR reader calls
/// itself for each level: both stop where an event is refused here.
template <class Tree>
class TreeBuilder {
 public:
  struct Rules {
    std::size_t size_max, depth_max;  // of one array or object, where its size is told first
    bool check_utf8, byte_strings;
  };
  explicit TreeBuilder(const Rules& rules) : rules_(rules) {}

  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(typename Tree::number_integer_t value) { return put(value); }
  bool number_unsigned(typename Tree::number_unsigned_t value) { return put(value); }
  bool number_float(typename Tree::number_float_t value, const typename Tree::string_t&) {
    return put(value);
  }
  bool string(typename Tree::string_t& value) { return is_text(value) && put(std::move(value)); }
  bool binary(typename Tree::binary_t& value) {
    return rules_.byte_strings ? put(std::move(value)) : refuse("a byte string, which JSON has none of");
  }
  bool start_object(std::size_t size) { return open(Tree::object(), size); }
  bool start_array(std::size_t size) { return open(Tree::array(), size); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(typename Tree::string_t& name) {
    if (!is_text(name)) return false;
    member_ = &(*open_.back()->template get_ptr<typename Tree::object_t*>())[std::move(name)];
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    return refuse(parse_error_text(error.what()));
  }

  Tree take() { return std::move(root_); }
  bool too_deep() const { return too_deep_; }
  const std::string& why() const { return why_; }

 private:
  bool refuse(std::string why) {
    why_ = std::move(why);
    return false;
  }
  bool is_text(const std::string& text) {
    return !rules_.check_utf8 || simdjson::validate_utf8(text) || refuse("a string that is no UTF-8");
  }

  template <class T>
  Tree* place(T&& value) {
    if (open_.empty()) {
      root_ = std::forward<T>(value);
      return &root_;
    }
    if (auto* items = open_.back()->template get_ptr<typename Tree::array_t*>()) {
      items->emplace_back(std::forward<T>(value));
      return &items->back();
    }
    *member_ = std::forward<T>(value);
    return member_;
  }
  template <class T>
  bool put(T&& value) {
    place(std::forward<T>(value));
    return true;
  }
  /// CBOR tells the size first, and each item takes a byte at least (-1: as many as come).
  bool open(Tree&& empty, std::size_t size) {
    if (size != std::numeric_limits<std::size_t>::max() && size > rules_.size_max)
      return refuse("a size that can't be");
    if (open_.size() >= rules_.depth_max) {
      too_deep_ = true;
      return false;
    }
    open_.push_back(place(std::move(empty)));  // stays where it is: what it lies in can't grow before it ends
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const Rules rules_;
  bool too_deep_ = false;
  std::string why_;
  Tree root_;
  std::vector<Tree*> open_;  // from the root to the array or object that events belong to
  Tree* member_ = nullptr;   // of the innermost object: where the next value goes
};

/// Builds nothing, and stops where it gets too deep.
class Checker {
 public:
  explicit Checker(std::size_t depth_max) : depth_max_(depth_max) {}

  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(json::number_integer_t) { return true; }
  bool number_unsigned(json::number_unsigned_t) { return true; }
  bool number_float(json::number_float_t, const json::string_t&) { return true; }
  bool string(json::string_t&) { return true; }
  bool binary(json::binary_t&) { return true; }
  bool start_object(std::size_t) { return open(); }
  bool start_array(std::size_t) { return open(); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(json::string_t&) { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    why_ = parse_error_text(error.what());
    return false;
  }

  bool too_deep() const { return depth_ > depth_max_; }
  const std::string& why() const { return why_; }

 private:
  bool open() { return ++depth_ <= depth_max_; }
  bool close() {
    --depth_;
    return true;
  }

  const std::size_t depth_max_;
  std::size_t depth_ = 0;
  std::string why_;
};

/// The quick way: true for most of what is JSON within the limit, for nothing else.
bool is_plain_json(std::string_view text, std::size_t depth_max) {
  constexpr std::size_t kKeptBytesMax = 1U << 20;  // a parser that grew past it isn't kept
  thread_local simdjson::dom::parser parser;
  if (depth_max != kJsonDepthMax) return false;
  // simdjson counts no level for an empty array: what is at the limit goes the slow way.
  if (parser.capacity() == 0 && parser.allocate(4096, kJsonDepthMax) != simdjson::SUCCESS) return false;
  const bool good = parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS;
  if (parser.capacity() > kKeptBytesMax) parser = simdjson::dom::parser();
  return good;
}

Error wrong_json(const JsonLimits& limits, std::string_view text, bool too_deep, const std::string& why) {
  if (too_deep) return invalid(fmt::format("JSON nested deeper than {} levels", limits.depth_max));
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return invalid("not JSON (it is empty)");
  return invalid(fmt::format("not JSON ({})", why));
}

template <class Tree>
Result<Tree> parse(std::string_view bytes, const JsonLimits& limits, json::input_format_t format) {
  const bool is_text = format == json::input_format_t::json;
  const char* const name = is_text ? "JSON" : "CBOR";
  if (bytes.size() > limits.bytes_max)
    return invalid(fmt::format("{} of more than {} bytes", name, limits.bytes_max));
  TreeBuilder<Tree> builder({.size_max = bytes.size(),
                             .depth_max = limits.depth_max,
                             .check_utf8 = !is_text,  // the text's parser does it
                             .byte_strings = limits.byte_strings});
  if (Tree::sax_parse(bytes.data(), bytes.data() + bytes.size(), &builder, format)) return builder.take();
  if (is_text) return wrong_json(limits, bytes, builder.too_deep(), builder.why());
  if (builder.too_deep())
    return invalid(fmt::format("{} nested deeper than {} levels", name, limits.depth_max));
  return invalid(fmt::format("not {} ({})", name, builder.why()));
}

}  // namespace

std::string parse_error_text(std::string_view what) {
  constexpr std::size_t kShownMax = 240;
  if (const auto at = what.find("] "); at != std::string_view::npos) what.remove_prefix(at + 2);
  constexpr std::string_view kLead = "parse error at ";
  if (what.substr(0, kLead.size()) == kLead) what.remove_prefix(kLead.size());
  std::string shown(cut_utf8(what, kShownMax));
  if (shown.size() < what.size()) shown += "...";
  if (!simdjson::validate_utf8(shown)) {  // the token that it quotes: an error is read by people, and sent on
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80U; }, '?');
  }
  return shown;
}

Result<json> parse_json(std::string_view text, const JsonLimits& limits) {
  return parse<json>(text, limits, json::input_format_t::json);
}

Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, const JsonLimits& limits) {
  return parse<nlohmann::ordered_json>(text, limits, json::input_format_t::json);
}

Result<json> parse_json(std::string_view text, std::size_t bytes_max) {
  return parse_json(text, JsonLimits{.bytes_max = bytes_max});
}

Status check_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes_max)
    return invalid(fmt::format("JSON of more than {} bytes", limits.bytes_max));
  if (is_plain_json(text, limits.depth_max)) return {};
  Checker checker(limits.depth_max);
  if (json::sax_parse(text.data(), text.data() + text.size(), &checker)) return {};
  return wrong_json(limits, text, checker.too_deep(), checker.why());
}

Result<json> parse_cbor(std::string_view bytes, const JsonLimits& limits) {
  return parse<json>(bytes, limits, json::input_format_t::cbor);
}

bool fits_depth(const json& tree, std::size_t depth_max) {
  if (!tree.is_structured()) return true;
  if (depth_max == 0) return false;
  return std::all_of(tree.begin(), tree.end(),
                     [depth_max](const json& inner) { return fits_depth(inner, depth_max - 1); });
}

const json& at(const json& object, std::string_view key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

const json& array_at(const json& object, std::string_view key) {
  static const json kEmpty = json::array();
  const json& value = at(object, key);
  return value.is_array() ? value : kEmpty;
}

const json& first_at(const json& object, std::string_view key) {
  static const json kNull;
  const json& items = array_at(object, key);
  return items.empty() ? kNull : items.front();
}

const json& object_at(const json& object, std::string_view key) {
  static const json kEmpty = json::object();
  const json& value = at(object, key);
  return value.is_object() ? value : kEmpty;
}

std::string text_at(const json& object, std::string_view key) {
  return as_text(at(object, key)).value_or("");
}

std::optional<std::int64_t> integer_at(const json& object, std::string_view key) {
  return as_integer(at(object, key));
}

std::optional<double> number_at(const json& object, std::string_view key) {
  return as_number(at(object, key));
}

std::optional<bool> flag_at(const json& object, std::string_view key) {
  const json& value = at(object, key);
  return value.is_boolean() ? std::optional(value.get<bool>()) : std::nullopt;
}

std::optional<std::string> as_text(const json& value) {
  return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
}

std::optional<std::int64_t> as_integer(const json& value) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    return number <= static_cast<std::uint64_t>(kMax) ? std::optional(static_cast<std::int64_t>(number))
                                                      : std::nullopt;
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const auto number = value.get<double>();
  constexpr double kExactMax =
      9007199254740992;  // 2^53: beyond it a double isn't the number that was written
  if (!(std::abs(number) <= kExactMax) || number != std::trunc(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

std::optional<double> as_number(const json& value) {
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

}  // namespace pmt::base
