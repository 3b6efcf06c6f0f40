// A request's tools, tool_choice and response_format, from the body's bytes to the grammar that the answer
// must follow: whatever is asked for, a grammar or an error that names the field and has words.
#include "api/json/parse.h"
#include "fuzz/fuzz.h"
#include "inference/structured_output.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto call =
      pmt::api::parse_completion(pmt::llm::Endpoint::kChat, std::string(pmt::fuzz::text_of(data, size)), {});
  if (!call) return 0;  // json_request_fuzz.cpp looks at these
  const auto form = pmt::inference::structured_output(call->request);
  if (!form) {
    pmt::fuzz::require(!form.error().message.empty() && form.error().message.size() < 4096,
                       "an error says what is wrong, and no more");
    pmt::fuzz::require(!form.error().field.empty(), "an error names its field");
    return 0;
  }
  const auto again = pmt::inference::structured_output(call->request);
  pmt::fuzz::require(again && again->grammar == form->grammar, "one form has one grammar");
  pmt::fuzz::require(form->instruction.empty() == !form->calls, "who may call is told how");
  return 0;
}
