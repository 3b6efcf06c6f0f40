// The weights of a model of one of our architectures (architecture.h).
//
// Matrices that read the same input and have one type are joined by rows (Q, K and V; gate and up): one
// matmul node instead of three, which saves quantising the input and a thread barrier each. A matrix of a
// type that our own kernels multiply is repacked for them (notes 0007, 0029); any other goes into the first of the
// CPU's buffer types that takes it, so ggml's repacked layouts are used where they exist, as llama.cpp does.
// Thread-safety: read-only after load. Cost: the file's bytes in memory.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include <ggml-backend.h>
#include <ggml.h>

#include "base/result.h"
#include "kernels/quant/packed_matrix.h"
#include "model/experts.h"
#include "model/gguf_file.h"
#include "model/hparams.h"

namespace pmt::model {

/// Either a tensor that ggml multiplies by, or a packed matrix that we do.
struct Matrix {
  ggml_tensor* tensor = nullptr;
  kernels::PackedMatrix packed;
};

/// A joined matrix: its rows are the parts' rows in order. Parts of different types stay apart.
struct Joined {
  std::vector<const Matrix*> matrices;  // one if joined, else one a part
  std::vector<std::int64_t> part_rows;  // rows of each part
};

struct LayerWeights {
  ggml_tensor* attention_norm = nullptr;       // [hidden]
  Joined qkv;                                  // [hidden -> (heads + 2 kv_heads) * head_dim]
  std::vector<ggml_tensor*> qkv_bias;          // of Q, K and V; empty if none
  ggml_tensor* q_norm = nullptr;               // [head_dim], null if none
  ggml_tensor* k_norm = nullptr;               // [head_dim], null if none
  const Matrix* attention_out = nullptr;       // [heads * head_dim -> hidden]
  ggml_tensor* attention_post_norm = nullptr;  // [hidden], null if none
  ggml_tensor* ffn_norm = nullptr;             // [hidden]
  Joined gate_up;                              // [hidden -> 2 * feed_forward]; empty where there are experts
  const Matrix* ffn_down = nullptr;            // [feed_forward -> hidden]; null where there are experts
  Experts experts;
  ggml_tensor* ffn_post_norm = nullptr;  // [hidden], null if none
};

class Weights {
 public:
  /// `on_progress` gets 0..1, and ends the loading by false. Errors: kCorrupt (a missing or misshaped
  /// tensor), kIo, kUnavailable (no memory), kCancelled (it was ended).
  static base::Result<std::unique_ptr<Weights>> load(const GgufFile& file, const Hparams& hparams,
                                                     const std::function<bool(float)>& on_progress);
  ~Weights();
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  const Matrix* token_embedding = nullptr;  // [vocabulary, hidden]: rows are looked up
  ggml_tensor* output_norm = nullptr;       // [hidden]
  const Matrix* output = nullptr;           // [hidden -> vocabulary]; the embedding's values when tied
  std::vector<LayerWeights> layers;
  std::vector<float> rope_factors;  // [rope_dims / 2] divisors of the frequencies, empty if none
  std::int64_t bytes = 0;           // in memory

 private:
  friend class WeightLoader;
  Weights() = default;
  std::deque<Matrix> matrices_;  // whose addresses stay
  std::vector<ggml_context*> contexts_;
  std::vector<ggml_backend_buffer_t> buffers_;
};

}  // namespace pmt::model
