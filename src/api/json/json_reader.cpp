#include "api/json/json_reader.h"

#include <algorithm>
#include <charconv>
#include <new>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

using nlohmann::json;

/// A parser that grew past this is replaced, so that one huge body doesn't hold memory for ever.
constexpr std::size_t kKeptCapacityMax = 1U << 20;
constexpr std::size_t kStartCapacity = 16U << 10;

simdjson::dom::parser fresh_parser() {
  simdjson::dom::parser parser;
  if (parser.allocate(kStartCapacity, base::kJsonDepthMax + 1) != simdjson::SUCCESS) throw std::bad_alloc();
  return parser;
}

/// Only finds what is wrong with a document and where: simdjson doesn't say.
class PlaceFinder final : public json::json_sax_t {
 public:
  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t& text) override {
    // An integer that no 64 bits hold comes as a float.
    if (text.find_first_of(".eE") != string_t::npos) return value();
    return wrong("holds an integer of more than 64 bits");
  }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return open(true); }
  bool key(string_t& name) override {
    levels_.back().key = name;
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const json::exception& thrown) override {
    constexpr int kNumberOverflow = 406;
    if (thrown.id == kNumberOverflow) return wrong("holds a number past the range of a double");
    broken = base::parse_error_text(thrown.what());
    return false;
  }

  std::string broken;  // it is no JSON: where and why
  base::Error error;   // it is JSON, but not for us: what is wrong with the field

 private:
  struct Level {
    bool object;
    std::string key;
    std::size_t items;
  };

  bool value() {
    if (!levels_.empty()) ++levels_.back().items;
    return true;
  }
  bool open(bool object) {
    if (levels_.size() == base::kJsonDepthMax) {
      levels_.resize(levels_.front().object ? 1 : 0);  // the member that is so deep: no path of 64 names
      return wrong(fmt::format("nests deeper than {} levels", base::kJsonDepthMax));
    }
    levels_.push_back({object, "", 0});
    return true;
  }
  bool close() {
    levels_.pop_back();
    return value();
  }
  bool wrong(std::string what) {
    error = base::invalid(std::move(what), path());
    return false;
  }
  /// Of the value that begins here.
  std::string path() const {
    std::string out;
    for (const Level& level : levels_) {
      out += level.object ? (out.empty() ? "" : ".") + level.key : fmt::format("[{}]", level.items);
    }
    return out;
  }

  std::vector<Level> levels_;
};

base::Error explain(const std::string& text, simdjson::error_code code) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return base::invalid("The request's body is empty: send a JSON object.");
  }
  PlaceFinder finder;
  json::sax_parse(text, &finder);
  if (!finder.broken.empty()) return base::invalid("The body is not valid JSON: " + finder.broken);
  if (!finder.error.message.empty()) {
    return finder.error.field.empty() ? base::invalid("The body " + finder.error.message + ".")
                                      : name_field(std::move(finder.error));
  }
  return base::invalid(std::string("The body can't be read as JSON: ") + simdjson::error_message(code));
}

bool fits_64_bits(std::string_view digits, bool negative) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && (!negative || value <= std::uint64_t{1} << 63U);
}

/// simdjson takes no integer past 64 bits. Null where there is none.
std::optional<std::string> with_long_integers_as_reals(std::string_view text) {
  std::string out;
  std::size_t copied = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      at = base::past_string(text, at);
      continue;
    }
    const std::size_t end = std::min(text.find_first_not_of("0123456789", at), text.size());
    const char before = at > 0 ? text[at - 1] : ' ', after = end < text.size() ? text[end] : ' ';
    const bool whole = std::string_view(".eE+").find(before) == std::string_view::npos &&
                       std::string_view(".eE").find(after) == std::string_view::npos;
    if (end > at && whole && !fits_64_bits(text.substr(at, end - at), before == '-')) {
      out.append(text.substr(copied, end - copied)).append(".0");
      copied = end;
    }
    at = std::max(end, at + 1);
  }
  if (copied == 0) return std::nullopt;
  return out.append(text.substr(copied));
}

}  // namespace

base::Result<Json> parse_json(const std::string& text, LongIntegers long_integers) {
  thread_local simdjson::dom::parser parser = fresh_parser();
  if (parser.capacity() > kKeptCapacityMax && text.size() <= kKeptCapacityMax) parser = fresh_parser();
  Json root;
  const simdjson::error_code code = parser.parse(text).get(root);
  if (code == simdjson::SUCCESS) return root;
  const auto readable =
      long_integers == LongIntegers::kAsReals ? with_long_integers_as_reals(text) : std::nullopt;
  if (readable) {
    if (parser.parse(*readable).get(root) == simdjson::SUCCESS) return root;
  }
  return explain(text, code);
}

json to_nlohmann(Json value) {
  switch (value.type()) {
    case simdjson::dom::element_type::ARRAY: {
      json out = json::array();
      const simdjson::dom::array items = value.get_array().value_unsafe();
      for (const Json item : items) out.push_back(to_nlohmann(item));
      return out;
    }
    case simdjson::dom::element_type::OBJECT: {
      json out = json::object();
      const simdjson::dom::object fields = value.get_object().value_unsafe();
      for (const auto field : fields) {
        out[std::string(field.key)] = to_nlohmann(field.value);
      }
      return out;
    }
    case simdjson::dom::element_type::INT64:
      return value.get_int64().value_unsafe();
    case simdjson::dom::element_type::UINT64:
      return value.get_uint64().value_unsafe();
    case simdjson::dom::element_type::DOUBLE:
      return value.get_double().value_unsafe();
    case simdjson::dom::element_type::STRING:
      return std::string(value.get_string().value_unsafe());
    case simdjson::dom::element_type::BOOL:
      return value.get_bool().value_unsafe();
    case simdjson::dom::element_type::NULL_VALUE:
      return nullptr;
  }
  return nullptr;
}

}  // namespace pmt::api
