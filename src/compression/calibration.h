// A model's calibration: the predictor that ranks a context's tokens for eviction while they are read (note 0005), so
// that no repetition pass is needed when a request is served. Fitted once per model, by calibrator.h, and kept in a
// file.
//
// Thread-safety: the thread that owns the transformer. Cost: some 90 s of two cores for a model of 1.5B; memory as
// calibrator.h says. Errors: as Transformer::forward; kIo, kCorrupt for the stored file.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kv_cache/page_pool.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::compression {

struct Calibration {
  model::KvPredictor predictor;
  /// Share of the variance of the log scores that the predictor explains on a text that it wasn't fitted on.
  double explained = 0;
};

struct CalibrateOptions {
  int piece_tokens = 0;           // CalibratorOptions'
  std::string path = {};          // where the calibration is kept; empty: nowhere
  std::string_view shipped = {};  // the file's bytes that came with the product; empty: none did
  std::function<void(float)> on_progress = {};
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

/// All at once, in a pool of its own. The result has the same bits whenever it is made with the same kernels.
base::Result<Calibration> calibrate(model::Transformer& transformer, const model::Vocab& vocab,
                                    const CalibrateOptions& options);

/// What `path` holds. The file names the model's size and shape, so that another model's is refused (kCorrupt).
std::string to_bytes(const Calibration& calibration, const model::Transformer& transformer);
base::Result<Calibration> read_calibration(std::string_view bytes, const model::Transformer& transformer,
                                           const std::string& path);
base::Status save(const Calibration& calibration, const model::Transformer& transformer,
                  const std::string& path);
base::Result<Calibration> load_calibration(const model::Transformer& transformer, const std::string& path);

/// Where a calibration that goes to `path` keeps what it has done so far; "" where that is.
std::string state_path_of(const std::string& path);

/// The stored calibration, else the shipped one; kNotFound: there is neither, or it isn't this model's, which is
/// warned of.
base::Result<Calibration> known_calibration(const model::Transformer& transformer,
                                            const CalibrateOptions& options);

/// The known calibration, or a new one that is then stored (a path that can't be written is only warned of).
base::Result<Calibration> load_or_calibrate(model::Transformer& transformer, const model::Vocab& vocab,
                                            const CalibrateOptions& options);

}  // namespace pmt::compression
