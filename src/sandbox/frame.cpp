#include "sandbox/frame.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::sandbox {
namespace {

using nlohmann::json;

constexpr std::size_t kVariablesMax = 100;
constexpr std::size_t kNameBytesMax = 400;

base::Error forged(std::string what) {
  return {base::Code::kCorrupt, std::move(what)};
}

/// The first `characters_max` characters of UTF-8.
std::string cut(std::string text, std::size_t characters_max) {
  std::size_t at = 0;
  for (std::size_t n = 0; n < characters_max && at < text.size(); ++n) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) ++at;
  }
  text.resize(at);
  return text;
}

base::Result<std::string> text_of(const json& object, const char* name) {
  auto text = base::as_text(base::at(object, name));
  if (!text) return forged(fmt::format("a frame without a text '{}'", name));
  return std::move(*text);
}

base::Result<CallFrame> read_call(json& object) {
  CallFrame call;
  TRY_ASSIGN(call.function, text_of(object, "function"));
  const auto id = base::integer_at(object, "id");
  const auto arguments = object.find("arguments");
  if (!id || arguments == object.end() || !arguments->is_object())
    return forged("a call without id or arguments");
  call.id = *id;
  call.arguments = std::move(*arguments);
  return call;
}

base::Result<BlockResult> read_result(const json& object, const Limits& limits) {
  BlockResult result;
  TRY_ASSIGN(std::string output, text_of(object, "output"));
  TRY_ASSIGN(std::string error, text_of(object, "error"));
  const auto chars = base::integer_at(object, "output_chars");
  if (!chars || *chars < 0) return forged("a result without output_chars");
  result.output = cut(std::move(output), limits.output_chars_max);
  result.error = cut(std::move(error), limits.output_chars_max);
  result.output_chars = *chars;
  result.final_answer = base::as_text(base::at(object, "final"));
  result.ended = base::flag_at(object, "ended").value_or(false);
  const json& variables = base::at(object, "variables");
  if (!variables.is_null() && !variables.is_array()) return forged("variables that are not a list");
  for (const json& variable : base::array_at(object, "variables")) {
    const bool pair = variable.is_array() && variable.size() == 2;
    auto name = base::as_text(pair ? variable.front() : variable);
    auto type = base::as_text(pair ? variable.back() : variable);
    if (!pair || !name || !type) return forged("variables that are not names and types");
    if (result.variables.size() == kVariablesMax) break;
    result.variables.emplace_back(cut(std::move(*name), kNameBytesMax), cut(std::move(*type), kNameBytesMax));
  }
  return result;
}

}  // namespace

base::Result<json> frame_object(std::string_view line, std::size_t bytes_max) {
  auto object = base::parse_json(line, bytes_max);
  if (!object) return forged("a frame that is " + object.error().message);
  if (!object->is_object()) return forged("a frame that is not a JSON object");
  return object;
}

base::Result<Frame> read_frame(json object, std::int64_t block, const Limits& limits) {
  TRY_ASSIGN(const std::string op, text_of(object, "op"));
  const bool done = op == "done";
  if (!done && op != "call") return forged("a frame of no known kind");
  if (base::integer_at(object, done ? "id" : "block") != block) return forged("a frame of another block");
  if (done) {
    TRY_ASSIGN(BlockResult result, read_result(object, limits));
    return Frame(std::move(result));
  }
  TRY_ASSIGN(CallFrame call, read_call(object));
  return Frame(std::move(call));
}

}  // namespace pmt::sandbox
