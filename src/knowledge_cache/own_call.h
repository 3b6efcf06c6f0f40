// A call of a model that the knowledge cache makes by itself on behalf of a request: one token, the likeliest, behind exact
// keys and values. What is asked is the caller's to add.
// Thread-safety: a pure function.
#pragma once

#include "llm/request.h"

namespace pmt::knowledge_cache {

inline llm::Request own_call(const llm::Request& request) {
  llm::Request out;
  out.id = request.id;
  out.tenant = request.tenant;
  out.key = request.key;
  out.model = request.model;
  out.surface = request.surface;
  out.sampling.temperature = 0;
  out.max_tokens = 1;
  out.kv = {.ratio = 1, .mode = llm::KvMode::kExact};
  out.speculation = llm::Speculation::kOff;
  out.engine_call = true;
  return out;
}

}  // namespace pmt::knowledge_cache
