// What an RLM answer tells about itself.
#pragma once

#include <nlohmann/json.hpp>

#include "rlm/run.h"

namespace pmt::rlm {

struct Told {
  const Run& run;
  const Outcome& outcome;
  std::int64_t context_tokens = 0;  // of the whole context; -1: not counted
  double kv_ratio = 1;
  bool want_trace = false;
};

nlohmann::json engine_report(const Told& told);

}  // namespace pmt::rlm
