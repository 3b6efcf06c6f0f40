// Reading what was stored outside of the process: the fields of one JSON object by their types.
// Thread-safety: none. Errors: kCorrupt, naming what is wrong where.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/result.h"
#include "llm/event.h"

namespace pmt::response_cache {

inline base::Error corrupt(std::string message) {
  return {base::Code::kCorrupt, std::move(message)};
}

/// Each getter notes the first mistake, and gives a default then.
class Fields {
 public:
  using json = nlohmann::json;
  Fields(const json& object, const char* what) : object_(object), what_(what) {
    if (!object.is_object()) fail("must be an object");
  }
  base::Status status() const {
    if (error_.empty()) return {};
    return corrupt(error_);
  }
  const json& at(const char* key) { return base::at(object_, key); }
  std::string text(const char* key) {
    const json& value = at(key);
    if (value.is_null()) return {};
    if (value.is_string()) return value.get<std::string>();
    return fail_at(key, "must be a string"), std::string();
  }
  std::int64_t count(const char* key) {
    const json& value = at(key);
    if (value.is_null()) return 0;
    const auto number = base::as_integer(value);
    if (number && *number >= 0 && *number <= kCountMax) return *number;
    return fail_at(key, "must be a whole number from 0 to 2^53"), 0;
  }
  double number(const char* key) {
    const json& value = at(key);
    if (value.is_null()) return 0;
    if (const auto number = base::as_number(value); number && *number >= 0) return *number;
    return fail_at(key, "must be a number, 0 or more"), 0;
  }
  /// Null if absent.
  const json& object(const char* key) {
    const json& value = at(key);
    if (!value.is_null() && !value.is_object()) fail_at(key, "must be an object");
    return value;
  }
  /// Members of a JSON object as text. It is put into answers as it is, so it must be what it says. Version 1
  /// has the object itself.
  std::string members(const char* key) {
    const json& value = at(key);
    if (value.is_null()) return {};
    if (value.is_object()) {
      const std::string object = value.dump(-1, ' ', false, json::error_handler_t::replace);
      return object.substr(1, object.size() - 2);
    }
    const auto text = base::as_text(value);
    const std::string object = "{" + text.value_or("}") + "}";
    if (text && text->starts_with('"') && base::check_json(object, {.bytes_max = object.size()}))
      return *text;
    return fail_at(key, "must be members of a JSON object"), std::string();
  }
  const json& array(const char* key) {
    static const json kEmpty = json::array();
    const json& value = at(key);
    if (value.is_null()) return kEmpty;
    if (value.is_array()) return value;
    return fail_at(key, "must be an array"), kEmpty;
  }
  void fail_at(const char* key, const char* wanted) { fail(std::string(key) + " " + wanted); }

 private:
  static constexpr std::int64_t kCountMax = std::int64_t{1} << 53;  // sums of some of them stay whole numbers
  void fail(const std::string& message) {
    if (error_.empty()) error_ = std::string(what_) + ": " + message;
  }
  const json& object_;
  const char* what_;
  std::string error_;
};

inline base::Result<std::vector<std::string>> read_strings(const nlohmann::json& array, const char* what) {
  std::vector<std::string> out;
  for (const nlohmann::json& one : array) {
    if (!one.is_string()) return corrupt(std::string(what) + " must be strings");
    out.push_back(one.get<std::string>());
  }
  return out;
}

}  // namespace pmt::response_cache
