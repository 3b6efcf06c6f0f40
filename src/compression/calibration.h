// Fits, once per model, the predictor that ranks a context's tokens for eviction while they are read
// (note 0005), so that no repetition pass is needed when a request is served.
//
// The model writes the texts that it is calibrated on (sampled with a fixed seed after lead-ins of our own),
// names and numbers are planted in them, and the scores of score_by_repeating are fitted by ridge regression
// on each layer's attention input. Thread-safety: the thread that owns the transformer. Cost: for a 135M
// model on two cores with AVX2 two minutes; the layers' normal equations in memory (8 B * layers * hidden^2).
// Errors: as Transformer::forward; kIo, kCorrupt for the stored file.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "kv_cache/page_pool.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::compression {

struct Calibration {
  model::KvPredictor predictor;
  /// Share of the variance of the log scores that the predictor explains on texts that it wasn't fitted on.
  double explained = 0;
};

base::Result<Calibration> calibrate(model::Transformer& transformer, const model::Vocab& vocab,
                                    const std::function<void(float)>& on_progress);

/// The file names the model's size and shape, so that another model's is refused (kCorrupt).
base::Status save(const Calibration& calibration, const model::Transformer& transformer,
                  const std::string& path);
base::Result<Calibration> load_calibration(const model::Transformer& transformer, const std::string& path);

/// The stored calibration, or a new one that is then stored (a path that can't be written is only reported by
/// `warn`). An empty path: not stored.
base::Result<Calibration> load_or_calibrate(model::Transformer& transformer, const model::Vocab& vocab,
                                            const std::string& path,
                                            const std::function<void(float)>& on_progress,
                                            const std::function<void(const std::string&)>& warn);

}  // namespace pmt::compression
