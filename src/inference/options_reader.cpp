#include "inference/options_reader.h"

#include "inference/decoding_request.h"

namespace pmt::inference {
namespace {

using base::Json;
using base::Rule;

constexpr Rule<DecodingRequest> kRules[] = {
    {"compress", [](Json v, DecodingRequest& o) { return base::flag(v, o.compress); }},
};

}  // namespace

llm::EngineOptionsReader options_reader() {
  return {DecodingRequest::kName, [](Json value, llm::EngineOptions& into) {
            return llm::read_engine_options<DecodingRequest>(value, kRules, into);
          }};
}

}  // namespace pmt::inference
