#include "api/json_reader.h"

#include <new>
#include <string_view>

#include <fmt/format.h>

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

/// Only finds where a document is broken: simdjson doesn't say.
class PlaceFinder final : public json::json_sax_t {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 7: syntax error ..."
    std::string_view what = error.what();
    if (const auto at = what.find("] "); at != std::string_view::npos) what.remove_prefix(at + 2);
    constexpr std::string_view kLead = "parse error at ";
    if (what.substr(0, kLead.size()) == kLead) what.remove_prefix(kLead.size());
    constexpr std::size_t kShownMax = 240;  // it quotes the last token, which may be the whole body
    place = what.size() <= kShownMax ? std::string(what) : std::string(what.substr(0, kShownMax)) + "...";
    return false;
  }

  std::string place;
};

base::Error explain(const std::string& text, simdjson::error_code code) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return base::invalid("The request's body is empty: send a JSON object.");
  }
  if (code == simdjson::DEPTH_ERROR) {
    return base::invalid(fmt::format("The JSON nests deeper than {} levels.", base::kJsonDepthMax));
  }
  PlaceFinder finder;
  json::sax_parse(text, &finder);
  if (!finder.place.empty()) return base::invalid("The body is not valid JSON: " + finder.place);
  if (code == simdjson::NUMBER_ERROR) {
    return base::invalid("The body holds an integer of more than 64 bits.");
  }
  return base::invalid(std::string("The body can't be read as JSON: ") + simdjson::error_message(code));
}

}  // namespace

base::Result<Json> parse_json(const std::string& text) {
  thread_local simdjson::dom::parser parser = fresh_parser();
  if (parser.capacity() > kKeptCapacityMax && text.size() <= kKeptCapacityMax) parser = fresh_parser();
  Json root;
  const simdjson::error_code code = parser.parse(text).get(root);
  if (code != simdjson::SUCCESS) return explain(text, code);
  return root;
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
