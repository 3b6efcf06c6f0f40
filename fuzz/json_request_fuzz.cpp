// Bodies of requests: every field of OpenAI's JSON and of ours, and an entry that is put into the cache.
#include "api/errors.h"
#include "api/json/cache_entry_json.h"
#include "api/json/parse.h"
#include "app/wiring/engine_options.h"
#include "fuzz/fuzz.h"
#include "response_cache/store/canonical_key.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto engines = pmt::app::engine_options();
  const std::string body(pmt::fuzz::text_of(data, size));
  for (const auto endpoint : {pmt::llm::Endpoint::kChat, pmt::llm::Endpoint::kCompletions}) {
    const auto call = pmt::api::parse_completion(endpoint, body, engines);
    if (!call) {
      pmt::fuzz::require(!call.error().message.empty(), "an error says what is wrong");
      (void)pmt::api::error_body(call.error());
      continue;
    }
    const auto key = pmt::response_cache::request_key(call->request, "m", nullptr);
    const auto again = pmt::api::parse_completion(endpoint, body, engines);
    pmt::fuzz::require(again && pmt::response_cache::request_key(again->request, "m", nullptr) == key,
                       "one body has one key");
  }
  (void)pmt::api::parse_entry(body);
  return 0;
}
