// A model of any architecture that libllama knows, loaded by it, and the memory that its contexts get.
//
// How large they are is decided before a weight is read: as many cells as kv_bytes_max holds (libllama is asked what
// they take), up to four times the model's context. Thread-safety: const after load. Errors: kNotFound, kIo, kCorrupt
// and kInvalidArgument with libllama's reason, kUnavailable (too little memory: by how much, and what would fit).
// Cost: the file's bytes, mapped; matrices that libllama repacks are in memory.
#pragma once

#include <cstdint>
#include <memory>

#include <llama.h>

#include "base/result.h"
#include "inference/libllama/llama_context.h"
#include "inference/local_model.h"

namespace pmt::inference {

class LlamaModel {
 public:
  /// Lowers kv_bytes_max where the memory there is asks for it, with a warning.
  static base::Result<std::unique_ptr<LlamaModel>> load(LocalModelOptions& options);

  const ModelInfo& info() const { return info_; }
  llama_model* raw() const { return model_.get(); }
  /// Of the context that all requests get which ask for no other type.
  const LlamaContextOptions& context() const { return context_; }
  /// What that context's cells and states would take at f16.
  std::int64_t memory_bytes_f16() const { return memory_bytes_f16_; }
  /// A sequence is (also) a state: the whole of one, or none of it, can go on.
  bool has_states() const;

 private:
  LlamaModel() = default;
  base::Status plan_memory(LocalModelOptions& options);
  base::Status read(const LocalModelOptions& options);
  void describe(const LocalModelOptions& options);

  struct FreeModel {
    void operator()(llama_model* model) const { llama_model_free(model); }
  };
  std::unique_ptr<llama_model, FreeModel> model_;
  LlamaContextOptions context_;
  std::int64_t memory_bytes_f16_ = 0;
  ModelInfo info_;
};

}  // namespace pmt::inference
