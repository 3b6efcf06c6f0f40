// bench serve's second part: whole requests, prompts read too, as many at once as a fixed memory holds.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "bench/serve_engine.h"

namespace pmt::bench {

struct EndToEndLoad {
  std::string model_path;
  ModelFacts facts;
  int threads = 1;
  int requests = 8;
  int prompt_tokens = 1024;
  int new_tokens = 256;
  double kv_ratio = 1;
};

struct EndToEndTime {
  double seconds = 0;           // from the first request to the last answer's end
  std::int64_t new_tokens = 0;  // written in that time
  std::int64_t kv_bytes = 0;    // the most that the pool held
};

/// By our engine, its pool as large as eight f16 sequences of such a request. All requests come at once and
/// differ from the first token on. Ends the process on an error.
EndToEndTime our_requests(const EndToEndLoad& load);

/// By llama.cpp: each prompt by itself, then all answers token by token in one batch.
EndToEndTime llama_requests(const EndToEndLoad& load, bool flash);

}  // namespace pmt::bench
