// A feed-forward of many experts, of which a router chooses some for each token (a mixture of experts).
//
// A token's router scores go through a softmax; the best `used` are taken, and their shares scaled to a sum of one. In
// the graph that is five operators: scores, choice, the chosen experts' gates and ups, ggml's gated activation, and the
// downs' weighted sum. The tokens of a batch that chose one expert are multiplied together, so its weights are read
// once. A token's sum runs over its experts in the order of their numbers: its bits don't depend on the tokens beside
// it. Thread-safety: the graph is built by one thread; the operators run on all of a team's.
// Cost: the products' (kernels/quant/matmul.h); gathering a row for each of its experts is small beside them.
// Source: Qwen3-MoE (arXiv 2505.09388).
#pragma once

#include <vector>

#include <ggml.h>

#include "kernels/quant/packed_matrix.h"

namespace pmt::model {

/// A layer's. Its address and content must outlive the graphs built of it.
struct Experts {
  ggml_tensor* router = nullptr;                   // [hidden, experts] f32; null: the layer has no experts
  std::vector<const kernels::PackedMatrix*> gate;  // [experts], each [hidden -> feed_forward]
  std::vector<const kernels::PackedMatrix*> up;    // [experts], each [hidden -> feed_forward]
  std::vector<const kernels::PackedMatrix*> down;  // [experts], each [feed_forward -> hidden]
  int used = 0;                                    // for each token; at most all
  float scale = 1;                                 // of their shares

  int count() const { return static_cast<int>(gate.size()); }
};

/// [hidden, rows] -> [hidden, rows], f32, a row a token.
ggml_tensor* mix_experts(ggml_context* context, const Experts& experts, ggml_tensor* input);

}  // namespace pmt::model
