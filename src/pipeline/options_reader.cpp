#include "pipeline/options_reader.h"

#include <limits>

#include "pipeline/unified_request.h"

namespace pmt::pipeline {
namespace {

using base::flag;
using base::Json;
using base::Rule;

base::Status read_ratio(Json value, UnifiedRequest& unified) {
  std::int64_t ratio = 0;
  if (value.get(ratio) != simdjson::SUCCESS || (ratio != 8 && ratio != 16 && ratio != 32 && ratio != 64)) {
    return base::mismatch("8, 16, 32 or 64", value);
  }
  unified.ratio = static_cast<double>(ratio);
  return {};
}

constexpr Rule<UnifiedRequest> kRules[] = {
    {"enable_basic_kv", [](Json v, UnifiedRequest& u) { return flag(v, u.basic_kv); }},
    {"enable_continual_kv", [](Json v, UnifiedRequest& u) { return flag(v, u.continual_kv); }},
    {"enable_inference_kv", [](Json v, UnifiedRequest& u) { return flag(v, u.inference_kv); }},
    {"ratio", read_ratio},
    {"rlm_context_threshold",
     [](Json v, UnifiedRequest& u) {
       return base::integer(v, 0, std::numeric_limits<std::int64_t>::max(), u.rlm_context_threshold);
     }},
};

}  // namespace

llm::EngineOptionsReader options_reader() {
  return {UnifiedRequest::kName, [](Json value, llm::EngineOptions& into) {
            return llm::read_engine_options<UnifiedRequest>(value, kRules, into);
          }};
}

}  // namespace pmt::pipeline
