#include "rlm/options_reader.h"

#include "rlm/rlm_request.h"

namespace pmt::rlm {
namespace {

using base::flag;
using base::integer;
using base::Json;
using base::Rule;

constexpr std::size_t kContextBytesMax = 1U << 30;  // the body's own limit comes first
constexpr std::size_t kContextPartsMax = 100'000;
constexpr std::int64_t kDepthMax = 16;
constexpr std::int64_t kIterationsMax = 100;

base::Status read_context(Json value, RlmRequest& rlm) {
  const auto read_part = [&rlm](Json item) {
    return base::text(item, kContextBytesMax, rlm.context.emplace_back());
  };
  if (value.is_string()) return read_part(value);
  return base::read_array(value, kContextPartsMax, read_part);
}

constexpr Rule<RlmRequest> kRules[] = {
    {"context", read_context},
    {"max_depth", [](Json v, RlmRequest& r) { return integer(v, 1, kDepthMax, r.depth_max); }},
    {"max_iterations", [](Json v, RlmRequest& r) { return integer(v, 1, kIterationsMax, r.iterations_max); }},
    {"enable_kv_cache_compression", [](Json v, RlmRequest& r) { return flag(v, r.kv_compression); }},
    {"enable_speculative_decoding", [](Json v, RlmRequest& r) { return flag(v, r.speculation); }},
};

}  // namespace

llm::EngineOptionsReader options_reader() {
  return {RlmRequest::kName, [](Json value, llm::EngineOptions& into) {
            return llm::read_engine_options<RlmRequest>(value, kRules, into);
          }};
}

}  // namespace pmt::rlm
