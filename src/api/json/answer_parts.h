// What several APIs' writers take out of a model's events, an upstream's included, which has more in them as it
// wrote it. Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/json/json_writer.h"
#include "llm/event.h"

namespace pmt::api {

/// One call.
struct FunctionCall {
  std::string id, name;
  std::string arguments;  // what the model wrote: JSON text, or what was meant to be some
};
/// Of ChoiceEnd::tool_calls.
std::vector<FunctionCall> function_calls(const std::vector<std::string>& tool_calls);
/// Of Delta::calls: id and name in the call's first piece.
FunctionCall call_piece(const llm::CallPiece& piece);

/// What it thinks, in whichever member it was said.
std::string reasoning_of(const llm::Delta& delta);
/// An upstream's word that it won't answer.
std::string refusal_of(const llm::Delta& delta);

/// A text among an upstream's further members; "" where it is none.
std::string member_text(const llm::MembersText& members, std::string_view name);
/// The items of a list among them, as JSON text.
std::vector<std::string> member_items(const llm::MembersText& members, std::string_view name);

/// Of the prompt: tokens whose keys and values were there already, here or at the provider.
std::int64_t cached_tokens(const llm::Usage& usage, const llm::Report& report);
/// Of the prompt: tokens that the provider's cache was written.
std::int64_t written_tokens(const llm::Usage& usage, const llm::Report& report);
/// Of the answer: tokens of thinking, where somebody counted them.
std::int64_t reasoning_tokens(const llm::Usage& usage);

/// A server-sent event with its type beside the data and in it; `members` adds what follows the type.
template <class F>
void append_event(std::string& out, std::string_view type, F&& members) {
  out.append("event: ").append(type).append("\ndata: ");
  ObjectWriter w(out);
  w.string("type", type);
  members(w);
  w.end();
  out += "\n\n";
}

}  // namespace pmt::api
