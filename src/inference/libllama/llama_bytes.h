// What a model takes of memory, as libllama itself counts it; before anything is taken, too.
// Thread-safety: one thread at a time. Cost: open reads the file's header and vocabulary, but no weight; of() lays
// out one graph (some milliseconds to a tenth of a second).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <llama.h>

#include "base/result.h"

namespace pmt::inference {

struct LlamaBytes {
  std::int64_t weights = 0;
  std::int64_t memory = 0;   // of keys, values and states
  std::int64_t compute = 0;  // of a batch
};

LlamaBytes bytes_of(const llama_context* context);

/// A model without its weights, to be asked what a context of it would take.
class LlamaProbe {
 public:
  /// Errors: kCorrupt, libllama can't load it, with its reason.
  static base::Result<LlamaProbe> open(const std::string& path);

  const llama_model* model() const { return model_.get(); }
  /// Errors: kInvalidArgument: it can't have such a context, with libllama's reason; or it is a model that has no
  /// memory, so it can't write token by token.
  base::Result<LlamaBytes> of(const llama_context_params& params) const;

 private:
  struct FreeModel {
    void operator()(llama_model* model) const { llama_model_free(model); }
  };
  explicit LlamaProbe(llama_model* model) : model_(model) {}

  std::unique_ptr<llama_model, FreeModel> model_;
};

}  // namespace pmt::inference
