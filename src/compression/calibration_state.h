// What a calibration has done so far, as the file that it goes on from after a restart (note 0034).
//
// Kept are the texts and, of those that have been repeated, the scores: writing and repeating are two thirds of the
// work. The sums that the predictor is solved from are not: they are hundreds of megabytes (0.5 GB of a model of 1.5B
// in doubles), and reading the texts again makes them anew.
// Layout: the magic, StateOf's numbers, then the pieces (a count, tokens) and the scores (a count of tokens,
// [layers * kv_heads, tokens] floats), all little-endian. Thread-safety: pure functions.
// Errors: kCorrupt, not such a file or another model's. Cost: 4 B a token and table: 1 MB for a model of 1.5B.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "compression/calibration_texts.h"
#include "kv_cache/attention_plan.h"

namespace pmt::compression {

/// What must be equal for a calibration to go on.
struct StateOf {
  std::int64_t file_bytes = 0;  // the model's
  std::int32_t layers = 0, kv_heads = 0, vocabulary = 0;
  std::int32_t piece_tokens = 0;
  bool operator==(const StateOf&) const = default;
};

struct CalibrationState {
  std::vector<Tokens> pieces;                 // lead-ins with what was written so far
  std::vector<kv_cache::ScoreBuffer> scores;  // of the first texts
  std::vector<int> scored_tokens;             // of each of those
};

std::string to_bytes(const CalibrationState& state, const StateOf& of);

base::Result<CalibrationState> read_state(std::string_view bytes, const StateOf& of);

}  // namespace pmt::compression
