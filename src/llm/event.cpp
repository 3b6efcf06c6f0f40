#include "llm/event.h"

namespace pmt::llm {

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kContentFilter:
      return "content_filter";
  }
  return "stop";
}

const char* to_string(CacheStatus status) {
  switch (status) {
    case CacheStatus::kHit:
      return "hit";
    case CacheStatus::kSemanticHit:
      return "semantic_hit";
    case CacheStatus::kCoalesced:
      return "coalesced";
    case CacheStatus::kStale:
      return "stale";
    case CacheStatus::kMiss:
      return "miss";
    case CacheStatus::kBypass:
      return "bypass";
  }
  return "bypass";
}

}  // namespace pmt::llm
