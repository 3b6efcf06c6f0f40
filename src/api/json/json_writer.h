// Writes JSON straight into a string: the answers' hot path, where a tree of values would cost more than the
// text. What comes out is always valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace pmt::api {

/// `s` quoted and escaped; ill-formed UTF-8 becomes U+FFFD.
void append_string(std::string& out, std::string_view s);
void append_int(std::string& out, std::int64_t v);
/// The shortest text that reads back as `v`; null where JSON has no word for it (NaN, infinity).
void append_double(std::string& out, double v);
void append_strings(std::string& out, const std::vector<std::string>& items);
/// `value` as it is; ill-formed UTF-8 becomes U+FFFD.
void append_json(std::string& out, const nlohmann::json& value);
std::string to_text(const nlohmann::json& value);

bool is_utf8(std::string_view s);

/// Members of one object: member("a") writes `"a":` and the comma before it; the caller writes the value.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  std::string& member(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += name;  // our own names need no escaping
    out_ += "\":";
    return out_;
  }
  void string(std::string_view name, std::string_view v) { append_string(member(name), v); }
  void integer(std::string_view name, std::int64_t v) { append_int(member(name), v); }
  void real(std::string_view name, double v) { append_double(member(name), v); }
  void null(std::string_view name) { member(name) += "null"; }
  /// Members as JSON text: `"a":1,"b":[]`; "" for none.
  void members(std::string_view text) {
    if (text.empty()) return;
    if (!first_) out_ += ',';
    first_ = false;
    out_ += text;
  }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

}  // namespace pmt::api
