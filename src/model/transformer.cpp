#include "model/transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <list>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>

#include "base/check.h"
#include "kernels/attention.h"
#include "kernels/quant/matmul.h"
#include "model/graph_runner.h"
#include "model/key_centers.h"
#include "model/rope.h"
#include "model/row_math.h"
#include "model/weights.h"

namespace pmt::model {
namespace {

using kv_cache::KvHeadId;
using kv_cache::LayerId;

/// What our two operators read while a batch runs: filled before the graph starts, constant during it.
struct Step {
  const Hparams* hparams = nullptr;
  kv_cache::PagePool* pool = nullptr;
  std::vector<kv_cache::Span> spans;
  std::vector<int> row_span;  // [rows] -> index into spans
  std::unique_ptr<kv_cache::AttentionPlan> plan;
  std::unique_ptr<RopeTable> rope, local_rope;  // the latter null where no layer is local
  std::vector<float> centers;                   // [tables, head_dim], taken from keys; empty: nothing is
  const kernels::AttentionKernels* kernels = nullptr;
  std::vector<std::unique_ptr<kernels::Scratch>> scratch;  // [threads]
  std::vector<kv_cache::ScoreBuffer> scores;               // [threads], while a span is scored
  std::span<BatchSpan> batch;
  bool inputs_wanted = false;  // a span wants scores guessed from its attention input, or the input itself
};

struct LayerStep {
  Step* step = nullptr;
  LayerId layer;
};

const RopeTable& rope_of(const Step& step, LayerId layer) {
  return step.hparams->kv_shape().window_of(layer) > 0 ? *step.local_rope : *step.rope;
}

/// One token and KV head with its group of queries: q' = rope(q) into dst, rope(k), centered, and v into the page.
void append_unit(const Step& step, LayerId layer, ggml_tensor* dst, int row, int head) {
  const Hparams& h = *step.hparams;
  const kv_cache::Span& span =
      step.spans[static_cast<std::size_t>(step.row_span[static_cast<std::size_t>(row)])];
  const KvHeadId kv_head(static_cast<std::uint32_t>(head));
  const int slot = span.sequence->slot(layer, kv_head, span.start + row - span.row_first);
  const auto pages = span.sequence->table(layer, kv_head).pages;
  std::byte* page = step.pool->data(pages[static_cast<std::size_t>(slot / kernels::kPageTokens)]);
  const float* k = row_of(dst->src[1], row) + head * h.head_dim;
  const float* v = row_of(dst->src[2], row) + head * h.head_dim;
  float rotated[kernels::kHeadDimMax];
  const RopeTable& rope = rope_of(step, layer);
  rope.rotate(row, k, rotated);
  if (!step.centers.empty()) {
    const auto table = layer.value * static_cast<std::size_t>(h.kv_heads) + static_cast<std::size_t>(head);
    const float* const center = step.centers.data() + table * static_cast<std::size_t>(h.head_dim);
    for (int d = 0; d < h.head_dim; ++d) rotated[d] -= center[d];
  }
  step.kernels->store(span.sequence->tail())(rotated, v, h.head_dim, slot % kernels::kPageTokens, page);
  const int first = head * h.group() * h.head_dim;
  const float* q = row_of(dst->src[0], row) + first;
  float* out =
      static_cast<float*>(dst->data) + static_cast<std::ptrdiff_t>(row) * h.heads * h.head_dim + first;
  for (int g = 0; g < h.group(); ++g) rope.rotate(row, q + g * h.head_dim, out + g * h.head_dim);
  kv_cache::ReferenceQueries* wish =
      step.batch[static_cast<std::size_t>(step.row_span[static_cast<std::size_t>(row)])].queries;
  const int position = span.start + row - span.row_first;
  if (wish == nullptr || position < wish->first || position >= wish->first + wish->tokens) return;
  std::copy_n(out, h.group() * h.head_dim,
              wish->values.data() + wish->at(layer.value, position, head * h.group()));
}

/// What a span asks of its attention input: to have scores guessed from it, or to have it.
void look_at_input(const Step& step, LayerId layer, const float* input, int row) {
  const Hparams& h = *step.hparams;
  const int index = step.row_span[static_cast<std::size_t>(row)];
  const BatchSpan& wish = step.batch[static_cast<std::size_t>(index)];
  const kv_cache::Span& span = step.spans[static_cast<std::size_t>(index)];
  const int at = row - span.row_first;
  const auto width = static_cast<std::size_t>(h.hidden);
  if (wish.attention_inputs != nullptr) {
    const std::size_t first =
        layer.value * static_cast<std::size_t>(span.tokens) + static_cast<std::size_t>(at);
    std::copy_n(input, width, wish.attention_inputs->begin() + static_cast<std::ptrdiff_t>(first * width));
  }
  if (wish.predicted == nullptr) return;
  for (int head = 0; head < h.kv_heads; ++head) {
    const auto table = layer.value * static_cast<std::size_t>(h.kv_heads) + static_cast<std::size_t>(head);
    const float* weights = wish.predictor->weights.data() + table * (width + 1);
    const float guess = dot(weights, input, static_cast<std::int64_t>(width), weights[width]);
    wish.predicted->values[table * wish.predicted->stride +
                           static_cast<std::size_t>(span.start + at - wish.predicted_first)] =
        std::exp(guess);
  }
}

/// src: q, k, v and the attention input, with one row a token. New tokens go into exact pages, where no two
/// share a byte.
void append_op(ggml_tensor* dst, int thread, int threads, void* userdata) {
  const auto& [step, layer] = *static_cast<const LayerStep*>(userdata);
  const int kv_heads = step->hparams->kv_heads;
  if (step->inputs_wanted) {
    for (int row = thread; row < dst->ne[1]; row += threads)
      look_at_input(*step, layer, row_of(dst->src[3], row), row);
  }
  const int units = static_cast<int>(dst->ne[1]) * kv_heads;
  const int end = static_cast<int>(std::int64_t{units} * (thread + 1) / threads);
  for (int unit = static_cast<int>(std::int64_t{units} * thread / threads); unit < end; ++unit)
    append_unit(*step, layer, dst, unit / kv_heads, unit % kv_heads);
}

void attention_op(ggml_tensor* dst, int thread, int /*threads*/, void* userdata) {
  const auto& [step, layer] = *static_cast<const LayerStep*>(userdata);
  step->plan->run(layer, *step->kernels, static_cast<const float*>(dst->src[0]->data),
                  static_cast<float*>(dst->data), *step->scratch[static_cast<std::size_t>(thread)],
                  step->scores.empty() ? nullptr : &step->scores[static_cast<std::size_t>(thread)]);
}

/// A built graph for one batch shape; decoding reuses it step after step.
struct Graph {
  int rows = 0;
  int outputs = 0;
  int threads = 1;
  ggml_context* context = nullptr;
  ggml_cgraph* graph = nullptr;
  ggml_gallocr_t allocator = nullptr;
  ggml_tensor* tokens = nullptr;    // [rows] i32
  ggml_tensor* selected = nullptr;  // [outputs] i32: rows that reach the output
  ggml_tensor* logits = nullptr;    // [outputs, vocabulary]
  std::optional<GraphSchedule> schedule;

  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() {
    if (allocator != nullptr) ggml_gallocr_free(allocator);
    if (context != nullptr) ggml_free(context);
  }
};

constexpr int kNodesPerLayer = 40;  // above what one layer builds
constexpr std::size_t kGraphsMax = 12;
constexpr std::int64_t kWideLogits = 4 << 20;  // 16 MiB

class LlamaTransformer final : public Transformer {
 public:
  LlamaTransformer(Hparams hparams, std::unique_ptr<Weights> weights, const GgufFile& file, int threads)
      : hparams_(std::move(hparams)),
        weights_(std::move(weights)),
        parameters_(file.parameters()),
        file_bytes_(file.bytes()),
        runner_(threads) {
    step_.hparams = &hparams_;
    step_.rope = std::make_unique<RopeTable>(hparams_, hparams_.rope_base, weights_->rope_factors);
    if (hparams_.local.any())
      step_.local_rope =
          std::make_unique<RopeTable>(hparams_, hparams_.local_rope_base, std::vector<float>());
    find_centers();
    step_.kernels = &kernels::best_attention_kernels();
    for (int i = 0; i < threads; ++i) step_.scratch.push_back(std::make_unique<kernels::Scratch>());
    for (int i = 0; i < hparams_.layers; ++i)
      layer_steps_.push_back({&step_, LayerId(static_cast<std::uint32_t>(i))});
  }
  ~LlamaTransformer() override = default;

  kv_cache::KeyTurn key_turn(int tokens) const override {
    kv_cache::KeyTurn out = step_.rope->turn(tokens);
    out.shift = centers_turned(step_.centers, hparams_.head_dim, out);
    return out;
  }

  const Hparams& hparams() const override { return hparams_; }
  int threads() const override { return runner_.threads(); }
  std::int64_t parameters() const override { return parameters_; }
  std::int64_t file_bytes() const override { return file_bytes_; }

  base::Result<std::unique_ptr<kv_cache::PagePool>> make_pool(std::size_t bytes_max) const override {
    return kv_cache::PagePool::create(kernels::f16_page_bytes(hparams_.head_dim), bytes_max);
  }

  base::Result<std::span<const float>> forward(kv_cache::PagePool& pool, std::span<BatchSpan> batch) override;

 private:
  base::Status prepare(kv_cache::PagePool& pool, std::span<BatchSpan> batch);
  void clear_scores(const BatchSpan& span);
  void check_wishes(const BatchSpan& span, int tokens);
  void collect_scores(const BatchSpan& span) const;
  Graph& graph_for(int rows, int outputs);
  void build(Graph& graph);
  ggml_tensor* layer(Graph& graph, ggml_tensor* input, std::size_t index);
  void find_centers();
  ggml_tensor* attention(Graph& graph, ggml_tensor* input, std::size_t index);
  ggml_tensor* feed_forward(Graph& graph, ggml_tensor* input, const LayerWeights& weights);
  ggml_tensor* norm(Graph& graph, ggml_tensor* input, ggml_tensor* weight) const;
  ggml_tensor* norm_heads(Graph& graph, ggml_tensor* input, ggml_tensor* weight) const;

  Hparams hparams_;
  std::unique_ptr<Weights> weights_;
  std::int64_t parameters_;
  std::int64_t file_bytes_;
  GraphRunner runner_;
  Step step_;
  std::vector<LayerStep> layer_steps_;
  std::list<Graph> graphs_;  // most recently used first; gone before the runner
  std::vector<std::int32_t> tokens_, selected_;
};

ggml_tensor* LlamaTransformer::norm(Graph& graph, ggml_tensor* input, ggml_tensor* weight) const {
  return ggml_mul(graph.context, ggml_rms_norm(graph.context, input, hparams_.rms_epsilon), weight);
}

/// Norms each head of each row by itself.
ggml_tensor* LlamaTransformer::norm_heads(Graph& graph, ggml_tensor* input, ggml_tensor* weight) const {
  const std::int64_t heads = input->ne[0] / hparams_.head_dim;
  const std::size_t head_bytes = static_cast<std::size_t>(hparams_.head_dim) * sizeof(float);
  ggml_tensor* split =
      ggml_view_3d(graph.context, input, hparams_.head_dim, heads, input->ne[1], head_bytes, input->nb[1], 0);
  return ggml_reshape_2d(graph.context, norm(graph, split, weight), input->ne[0], input->ne[1]);
}

/// src: the input, a row a token. A part is a range of the output's columns, and codes the input for itself:
/// a chunk of rows at a time, small enough to stay in a core's cache beside a group of weights.
void multiply_op(ggml_tensor* dst, int part, int parts, void* userdata) {
  const auto& matrix = *static_cast<const kernels::PackedMatrix*>(userdata);
  const kernels::QuantMatmul& kernels = *kernels::quant_matmul();
  thread_local kernels::QuantRows coded;
  const ggml_tensor* input = dst->src[0];
  const auto input_stride = static_cast<std::ptrdiff_t>(input->nb[1] / sizeof(float));
  const auto output_stride = static_cast<std::ptrdiff_t>(dst->nb[1] / sizeof(float));
  const int first = matrix.groups() * part / parts;
  const int end = matrix.groups() * (part + 1) / parts;
  const int chunk = kernels.chunk_rows(matrix.columns());
  for (int row = 0; row < dst->ne[1]; row += chunk) {
    const int rows = std::min(chunk, static_cast<int>(dst->ne[1]) - row);
    kernels.quantise(row_of(input, row), rows, matrix.columns(), input_stride, coded);
    kernels.multiply(matrix, coded, first, end, static_cast<float*>(dst->data) + row * output_stride,
                     output_stride);
  }
}

/// Into how many parts a product is cut for whoever has time: as many for each thread, or one that idles at the end would
/// cost more than cutting saves. Coding the input again and taking a part must stay small beside reading its weights, so a
/// small product, or one of many rows, isn't cut: GGML_N_TASKS_MAX.
int product_parts(const kernels::PackedMatrix& matrix, std::int64_t rows, int threads) {
  constexpr std::int64_t kPartBytes = 160 << 10;
  constexpr std::int64_t kLeast = 4, kMost = 8;  // a thread
  const std::int64_t wanted = static_cast<std::int64_t>(matrix.bytes()) / (kPartBytes * rows * threads);
  if (threads == 1 || wanted < kLeast) return GGML_N_TASKS_MAX;
  return threads * static_cast<int>(std::min(wanted, kMost));
}

/// src: the tokens.
void look_up_op(ggml_tensor* dst, int thread, int threads, void* userdata) {
  const auto& matrix = *static_cast<const kernels::PackedMatrix*>(userdata);
  const auto* tokens = static_cast<const std::int32_t*>(dst->src[0]->data);
  for (int row = thread; row < dst->ne[1]; row += threads)
    matrix.row(tokens[row], static_cast<float*>(dst->data) + row * static_cast<std::ptrdiff_t>(dst->ne[0]));
}

ggml_tensor* look_up(ggml_context* context, const Matrix& matrix, ggml_tensor* tokens) {
  if (matrix.packed.empty()) return ggml_get_rows(context, matrix.tensor, tokens);
  return ggml_custom_4d(context, GGML_TYPE_F32, matrix.packed.columns(), tokens->ne[0], 1, 1, &tokens, 1,
                        look_up_op, kSmallTasks, const_cast<kernels::PackedMatrix*>(&matrix.packed));
}

ggml_tensor* product(const Graph& graph, const Matrix& matrix, ggml_tensor* input) {
  if (matrix.packed.empty()) return ggml_mul_mat(graph.context, matrix.tensor, input);
  // One part is one of the small operators: those are run alone.
  const int parts =
      graph.threads == 1 ? GGML_N_TASKS_MAX : product_parts(matrix.packed, input->ne[1], graph.threads);
  return ggml_custom_4d(graph.context, GGML_TYPE_F32, matrix.packed.rows(), input->ne[1], 1, 1, &input, 1,
                        multiply_op, parts, const_cast<kernels::PackedMatrix*>(&matrix.packed));
}

/// One matmul a joined matrix, seen as its parts.
std::vector<ggml_tensor*> multiply(const Graph& graph, const Joined& joined, ggml_tensor* input) {
  std::vector<ggml_tensor*> parts;
  if (joined.matrices.size() > 1) {
    for (const Matrix* matrix : joined.matrices) parts.push_back(product(graph, *matrix, input));
    return parts;
  }
  ggml_tensor* whole = product(graph, *joined.matrices[0], input);
  std::size_t at = 0;
  for (const std::int64_t rows : joined.part_rows) {
    parts.push_back(ggml_view_2d(graph.context, whole, rows, whole->ne[1], whole->nb[1], at));
    at += static_cast<std::size_t>(rows) * sizeof(float);
  }
  return parts;
}

void LlamaTransformer::find_centers() {
  // A norm behind the bias would turn it into something else.
  if (!hparams_.architecture.qkv_bias || hparams_.architecture.qk_norm) return;
  const auto width = static_cast<std::size_t>(hparams_.head_dim);
  for (std::size_t layer = 0; layer < weights_->layers.size(); ++layer) {
    const ggml_tensor* const bias = weights_->layers[layer].qkv_bias.at(1);
    std::vector<float> values(static_cast<std::size_t>(hparams_.kv_heads) * width);
    ggml_backend_tensor_get(bias, values.data(), 0, values.size() * sizeof(float));
    for (std::size_t head = 0; head < static_cast<std::size_t>(hparams_.kv_heads); ++head) {
      const auto center = key_center(std::span(values).subspan(head * width, width),
                                     rope_of(step_, LayerId(static_cast<std::uint32_t>(layer))));
      step_.centers.insert(step_.centers.end(), center.begin(), center.end());
    }
  }
}

ggml_tensor* LlamaTransformer::attention(Graph& graph, ggml_tensor* input, std::size_t index) {
  const LayerWeights& weights = weights_->layers[index];
  const std::int64_t width = std::int64_t{hparams_.heads} * hparams_.head_dim;
  auto sources = multiply(graph, weights.qkv, input);
  for (std::size_t i = 0; i < weights.qkv_bias.size(); ++i)
    sources[i] = ggml_add(graph.context, sources[i], weights.qkv_bias[i]);
  if (hparams_.architecture.qk_norm) {
    sources[0] = norm_heads(graph, sources[0], weights.q_norm);
    sources[1] = norm_heads(graph, sources[1], weights.k_norm);
  }
  sources.push_back(input);
  ggml_tensor* q = ggml_custom_4d(graph.context, GGML_TYPE_F32, width, graph.rows, 1, 1, sources.data(), 4,
                                  append_op, kSmallTasks, &layer_steps_[index]);
  // Nothing reads the last layer's attention when no logits are wanted: its keys and values are enough.
  if (graph.outputs == 0 && index + 1 == weights_->layers.size()) return q;
  ggml_tensor* attended = ggml_custom_4d(graph.context, GGML_TYPE_F32, width, graph.rows, 1, 1, &q, 1,
                                         attention_op, GGML_N_TASKS_MAX, &layer_steps_[index]);
  return attended;
}

ggml_tensor* LlamaTransformer::feed_forward(Graph& graph, ggml_tensor* input, const LayerWeights& weights) {
  ggml_context* context = graph.context;
  if (weights.experts.router != nullptr) return mix_experts(context, weights.experts, input);
  const bool gelu = hparams_.architecture.activation == Activation::kGelu;
  ggml_tensor* gated = nullptr;
  if (weights.gate_up.matrices.size() == 1) {
    ggml_tensor* both = product(graph, *weights.gate_up.matrices[0], input);
    gated = gelu ? ggml_geglu(context, both) : ggml_swiglu(context, both);
  } else {
    auto parts = multiply(graph, weights.gate_up, input);
    gated =
        gelu ? ggml_geglu_split(context, parts[0], parts[1]) : ggml_swiglu_split(context, parts[0], parts[1]);
  }
  return product(graph, *weights.ffn_down, gated);
}

ggml_tensor* LlamaTransformer::layer(Graph& graph, ggml_tensor* input, std::size_t index) {
  ggml_context* context = graph.context;
  const LayerWeights& weights = weights_->layers[index];
  const bool last = index + 1 == weights_->layers.size();
  ggml_tensor* attended = attention(graph, norm(graph, input, weights.attention_norm), index);
  if (last && graph.outputs == 0) return attended;
  if (last && graph.outputs < graph.rows) {
    attended = ggml_get_rows(context, attended, graph.selected);
    input = ggml_get_rows(context, input, graph.selected);
  }
  attended = product(graph, *weights.attention_out, attended);
  if (weights.attention_post_norm != nullptr) attended = norm(graph, attended, weights.attention_post_norm);
  ggml_tensor* residual = ggml_add(context, attended, input);
  ggml_tensor* fed = feed_forward(graph, norm(graph, residual, weights.ffn_norm), weights);
  if (weights.ffn_post_norm != nullptr) fed = norm(graph, fed, weights.ffn_post_norm);
  return ggml_add(context, fed, residual);
}

void LlamaTransformer::build(Graph& graph) {
  const std::size_t nodes = weights_->layers.size() * kNodesPerLayer + 64;
  const ggml_init_params params{ggml_tensor_overhead() * nodes + ggml_graph_overhead_custom(nodes, false),
                                nullptr, true};
  graph.context = ggml_init(params);
  ggml_context* context = graph.context;
  graph.graph = ggml_new_graph_custom(context, nodes, false);
  graph.tokens = ggml_new_tensor_1d(context, GGML_TYPE_I32, graph.rows);
  ggml_set_input(graph.tokens);
  if (graph.outputs > 0 && graph.outputs < graph.rows) {
    graph.selected = ggml_new_tensor_1d(context, GGML_TYPE_I32, graph.outputs);
    ggml_set_input(graph.selected);
  }
  ggml_tensor* x = look_up(context, *weights_->token_embedding, graph.tokens);
  if (hparams_.architecture.scaled_embedding)
    x = ggml_scale(context, x, std::sqrt(static_cast<float>(hparams_.hidden)));
  for (std::size_t i = 0; i < weights_->layers.size(); ++i) x = layer(graph, x, i);
  if (graph.outputs > 0) {
    x = product(graph, *weights_->output, norm(graph, x, weights_->output_norm));
    ggml_set_output(x);
    graph.logits = x;
  }
  ggml_build_forward_expand(graph.graph, x);
  graph.allocator = ggml_gallocr_new(ggml_backend_get_default_buffer_type(runner_.backend()));
  CHECK(ggml_gallocr_alloc_graph(graph.allocator, graph.graph));
  graph.schedule = GraphSchedule::of(graph.graph);
}

Graph& LlamaTransformer::graph_for(int rows, int outputs) {
  for (auto it = graphs_.begin(); it != graphs_.end(); ++it) {
    if (it->rows == rows && it->outputs == outputs) {
      graphs_.splice(graphs_.begin(), graphs_, it);
      return graphs_.front();
    }
  }
  // Logits of many rows are most of what a graph holds: one of that kind is kept.
  const auto is_wide = [this](int of) { return std::int64_t{of} * hparams_.vocabulary >= kWideLogits; };
  if (is_wide(outputs)) std::erase_if(graphs_, [&](const Graph& graph) { return is_wide(graph.outputs); });
  if (graphs_.size() >= kGraphsMax) graphs_.pop_back();
  Graph& graph = graphs_.emplace_front();
  graph.rows = rows;
  graph.outputs = outputs;
  graph.threads = threads();
  build(graph);
  return graph;
}

base::Status LlamaTransformer::prepare(kv_cache::PagePool& pool, std::span<BatchSpan> batch) {
  std::size_t pages = 0;
  for (const BatchSpan& span : batch) {
    for (const std::int32_t token : span.tokens) {
      if (token < 0 || token >= hparams_.vocabulary) {
        return base::invalid(
            fmt::format("token {} is outside the vocabulary of {}", token, hparams_.vocabulary), "prompt");
      }
    }
    pages += span.sequence->pages_needed(static_cast<int>(span.tokens.size()));
  }
  if (pages > pool.pages_free()) {
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("the KV page pool has {} free pages, this step needs {}", pool.pages_free(), pages)};
  }
  tokens_.clear();
  selected_.clear();
  step_.spans.clear();
  step_.row_span.clear();
  step_.scores.clear();
  step_.batch = batch;
  step_.inputs_wanted = false;
  std::vector<int> positions;
  for (const BatchSpan& span : batch) {
    const int count = static_cast<int>(span.tokens.size());
    const int first = static_cast<int>(tokens_.size());
    const int start = span.sequence->tokens();
    TRY(span.sequence->reserve(count));
    for (const int row : span.output_rows) selected_.push_back(first + row);
    for (int i = 0; i < count; ++i) positions.push_back(start + i);
    step_.row_span.insert(step_.row_span.end(), span.tokens.size(), static_cast<int>(step_.spans.size()));
    step_.spans.push_back(
        {span.sequence, first, count, start, span.scores != nullptr ? span.scored_tokens : 0});
    if (span.scores != nullptr) clear_scores(span);
    if (span.predicted != nullptr || span.attention_inputs != nullptr) check_wishes(span, start + count);
    tokens_.insert(tokens_.end(), span.tokens.begin(), span.tokens.end());
  }
  // With no output row the last layer's attention is left out, and with it its scores.
  if (!step_.scores.empty() && selected_.empty())
    selected_.push_back(static_cast<std::int32_t>(tokens_.size()) - 1);
  step_.rope->fill(positions);
  if (step_.local_rope) step_.local_rope->fill(positions);
  if (step_.pool != &pool) {
    step_.pool = &pool;
    step_.plan = std::make_unique<kv_cache::AttentionPlan>(pool);
  }
  step_.plan->build(step_.spans,
                    {hparams_.group(), hparams_.head_dim, hparams_.kv_heads, hparams_.attention_scale},
                    hparams_.layers, threads());
  return {};
}

void LlamaTransformer::clear_scores(const BatchSpan& span) {
  CHECK(step_.scores.empty() && !span.sequence->compact());
  const auto tables = static_cast<std::size_t>(hparams_.layers * hparams_.kv_heads);
  const std::size_t stride = kv_cache::ScoreBuffer::stride_for(span.scored_tokens);
  CHECK(span.scores->stride >= stride && span.scores->values.size() == tables * span.scores->stride);
  step_.scores.assign(static_cast<std::size_t>(threads()), {std::vector<float>(tables * stride), stride});
}

void LlamaTransformer::check_wishes(const BatchSpan& span, int tokens) {
  step_.inputs_wanted = true;
  const auto width = static_cast<std::size_t>(hparams_.hidden);
  const auto tables = static_cast<std::size_t>(hparams_.layers * hparams_.kv_heads);
  if (span.predicted != nullptr) {
    CHECK(span.predictor != nullptr && span.predictor->weights.size() == tables * (width + 1));
    CHECK(span.predicted->stride >= static_cast<std::size_t>(tokens - span.predicted_first) &&
          span.predicted_first <= span.sequence->tokens() &&
          span.predicted->values.size() == tables * span.predicted->stride);
  }
  if (span.attention_inputs != nullptr)
    span.attention_inputs->resize(static_cast<std::size_t>(hparams_.layers) * span.tokens.size() * width);
}

/// The kernels fill whole pages: what lies past the tokens to score is dropped.
void LlamaTransformer::collect_scores(const BatchSpan& span) const {
  const auto tokens = static_cast<std::size_t>(span.scored_tokens);
  for (const kv_cache::ScoreBuffer& each : step_.scores) {
    for (std::size_t table = 0; table * each.stride < each.values.size(); ++table) {
      const float* from = each.values.data() + table * each.stride;
      float* to = span.scores->values.data() + table * span.scores->stride;
      for (std::size_t t = 0; t < tokens; ++t) to[t] = std::max(to[t], from[t]);
    }
  }
}

base::Result<std::span<const float>> LlamaTransformer::forward(kv_cache::PagePool& pool,
                                                               std::span<BatchSpan> batch) {
  TRY(prepare(pool, batch));
  CHECK(!tokens_.empty());
  Graph& graph = graph_for(static_cast<int>(tokens_.size()), static_cast<int>(selected_.size()));
  ggml_backend_tensor_set(graph.tokens, tokens_.data(), 0, tokens_.size() * sizeof(std::int32_t));
  if (graph.selected != nullptr) {
    ggml_backend_tensor_set(graph.selected, selected_.data(), 0, selected_.size() * sizeof(std::int32_t));
  }
  runner_.run(graph.graph, graph.schedule);
  for (BatchSpan& span : batch) {
    span.sequence->commit(static_cast<int>(span.tokens.size()));
    if (span.scores != nullptr) collect_scores(span);
  }
  if (graph.logits == nullptr) return std::span<const float>();
  return std::span<const float>(static_cast<const float*>(graph.logits->data), ggml_nelements(graph.logits));
}

}  // namespace

base::Result<std::unique_ptr<Transformer>> Transformer::load(const std::string& path, int threads,
                                                             const std::function<bool(float)>& on_progress,
                                                             const Admit& admit) {
  TRY_ASSIGN(const GgufFile file, GgufFile::open(path));
  TRY_ASSIGN(Hparams hparams, read_hparams(file));
  if (admit) TRY(admit(hparams, file.bytes()));
  TRY_ASSIGN(auto weights, Weights::load(file, hparams, on_progress));
  return std::unique_ptr<Transformer>(
      new LlamaTransformer(std::move(hparams), std::move(weights), file, threads));
}

}  // namespace pmt::model
