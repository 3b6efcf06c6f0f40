// What compression was measured to keep, for the model that it was measured on: which tasks a ratio is safe for, and
// which mode keeps more (note 0022).
//
// The figures are those of data/kv_quality.json, which is embedded when the program is built and written by
// ./dev eval compression --results; models are told apart by their file's digest. A task is safe when at least 95% of
// what the exact cache solved was still solved; a ratio between two measured ones is judged by the greater.
// Thread-safety: immutable. Cost: reading the file once, and where a measured model has a file's size, its digest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "compression/mode.h"

namespace pmt::compression {

struct Measurement {
  std::string task;
  Mode mode = Mode::kAuto;
  double ratio = 1;
  int tokens_min = 0, tokens_max = 0;  // of the prompts, half-open; 0, 0: wasn't kept
  bool by_request = false;  // as a request is served; else in a harness that knew where the question is
  bool questions = true;    // what is counted; else texts, by their perplexity
  double exact_right = 0;   // by the exact cache
  double kept_right = 0;    // of those, by the compressed one; of texts the sum of exact / compressed
  double kept() const { return exact_right > 0 ? kept_right / exact_right : 0; }
};

inline constexpr double kSafeShare = 0.95;

class Quality {
 public:
  /// Of a model that wasn't measured.
  Quality() = default;
  explicit Quality(std::vector<Measurement> rows) : rows_(std::move(rows)) {}

  const std::vector<Measurement>& rows() const { return rows_; }
  /// The measured tasks that `mode` keeps at `ratio`; all of them when it is exact.
  std::vector<std::string> safe_tasks(Mode mode, double ratio) const;
  /// What auto takes: query-aware where requests with prompts of that length were measured in both modes, on the same
  /// tasks, and it kept more of the questions; else query-agnostic.
  Mode better(double ratio, int prompt_tokens) const;

 private:
  std::vector<Measurement> rows_;
};

/// The rows of the model with that digest (hex) in a results file's text. Errors: kCorrupt, not such a file.
base::Result<Quality> read_quality(std::string_view json, std::string_view digest);

/// Of the model in that file, by the embedded results; none where it can't be read.
Quality quality_of(const std::string& model_path);

}  // namespace pmt::compression
