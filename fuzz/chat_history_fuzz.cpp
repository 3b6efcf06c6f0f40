// A chat's history, from the body's bytes to what the template gets: earlier calls and their results as text.
// The first byte chooses whether the functions are told in the system message.
#include "api/json/parse.h"
#include "fuzz/fuzz.h"
#include "inference/structured_output.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string body(pmt::fuzz::text_of(data + 1, size - 1));
  const auto call = pmt::api::parse_completion(pmt::llm::Endpoint::kChat, body, {});
  if (!call) return 0;
  const std::string instruction = (data[0] & 1) != 0 ? "You may call a function." : "";
  const auto messages = pmt::inference::chat_messages(call->request, instruction);
  pmt::fuzz::require(messages.size() >= call->request.messages.size(), "no message is lost");
  std::size_t bytes = 0;
  for (const auto& message : messages) {
    pmt::fuzz::require(!message.role.empty(), "every message has a role");
    pmt::fuzz::require(message.role != "tool", "a result is told as text");
    bytes += message.content.size() + message.name.size();
  }
  // A call is written again with its tags, and its arguments may be escaped: \u0000 for one byte.
  pmt::fuzz::require(bytes <= 6 * size + 128 * messages.size() + 128,
                     "a history grows by its own size at most");
  return 0;
}
