// Headers that we take apart: Cache-Control, traceparent, Host, and what the gate makes of a request.
#include "api/access.h"
#include "api/json/parse.h"
#include "fuzz/fuzz.h"
#include "net/target.h"
#include "telemetry/trace_context.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = pmt::fuzz::text_of(data, size);
  pmt::llm::CacheOptions cache;
  (void)pmt::api::apply_cache_control(text, cache);
  if (const auto context = pmt::telemetry::parse_traceparent(text)) {
    pmt::fuzz::require(context->trace_id.size() == 32 && context->span_id.size() == 16,
                       "ids have their length");
  }
  if (const auto authority = pmt::net::parse_authority(text)) {
    const auto again = pmt::net::parse_host(authority->host.text);
    pmt::fuzz::require(again && *again == authority->host, "a canonical host reads as itself");
  }
  (void)pmt::net::parse_origin(text);
  (void)pmt::net::HostPattern::parse(text);
  static const pmt::base::SystemClock kClock;
  static pmt::api::Access guarded({.keys = {{.name = "k",
                                             .sha256 = pmt::base::sha256("secret"),
                                             .scopes = {pmt::api::Scope::kInference}}}},
                                  kClock);
  static pmt::api::Access open({}, kClock);
  pmt::net::HttpRequest request;
  request.method = "GET";
  request.path = text;
  request.headers = {
      {"authorization", std::string(text)}, {"host", std::string(text)}, {"origin", std::string(text)}};
  const auto decision = guarded.enter(request);
  pmt::fuzz::require(!decision.caller || pmt::api::scope_of_path(text) == pmt::api::Scope::kPublic ||
                         text.find("secret") != std::string_view::npos,
                     "nobody gets in without the key");
  pmt::api::Access::leave(decision);
  pmt::api::Access::leave(open.enter(request));
  return 0;
}
