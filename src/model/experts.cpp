#include "model/experts.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <span>

#include "kernels/quant/matmul.h"
#include "model/graph_schedule.h"
#include "model/row_math.h"

namespace pmt::model {
namespace {

// The least sum that shares are divided by, as in libllama: the smallest normal number of f16.
constexpr float kShareMin = 6.103515625e-5F;
constexpr int kPackedRows = kernels::kPackedRows;

/// dst: [experts, rows]. src: the input. A part is a range of experts.
void score_op(ggml_tensor* dst, int part, int parts, void* userdata) {
  const ggml_tensor* router = static_cast<const Experts*>(userdata)->router;
  const ggml_tensor* input = dst->src[0];
  const std::int64_t first = dst->ne[0] * part / parts, end = dst->ne[0] * (part + 1) / parts;
  for (std::int64_t row = 0; row < dst->ne[1]; ++row) {
    for (std::int64_t expert = first; expert < end; ++expert)
      row_of(dst, row)[expert] = dot(row_of(router, expert), row_of(input, row), input->ne[0]);
  }
}

/// dst: [2 * used, rows], the chosen experts' numbers and then their shares. src: their scores.
void choose_op(ggml_tensor* dst, int thread, int threads, void* userdata) {
  const auto& experts = *static_cast<const Experts*>(userdata);
  const int count = experts.count();
  std::vector<int> order(static_cast<std::size_t>(count));
  for (std::int64_t row = thread; row < dst->ne[1]; row += threads) {
    const float* scores = row_of(dst->src[0], row);
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + experts.used, order.end(), [scores](int a, int b) {
      return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
    });
    const float top = scores[order[0]];
    float all = 0, chosen = 0;
    for (int i = 0; i < count; ++i) all += std::exp(scores[i] - top);
    float* out = row_of(dst, row);
    for (int i = 0; i < experts.used; ++i) {
      const int expert = order[static_cast<std::size_t>(i)];
      out[i] = static_cast<float>(expert);
      out[experts.used + i] = std::exp(scores[expert] - top) / all;
      chosen += out[experts.used + i];
    }
    for (int i = 0; i < experts.used; ++i)
      out[experts.used + i] *= experts.scale / std::max(chosen, kShareMin);
  }
}

/// Where a token's share of an expert is: one of its `used` slots.
struct Place {
  int row = 0;
  int slot = 0;
};

/// What one thread works with.
struct Workspace {
  std::vector<std::vector<Place>> places;  // [experts]
  std::vector<float> gathered, product;
  kernels::QuantRows coded;

  void sort(const ggml_tensor* chosen, const Experts& experts) {
    places.resize(std::max(places.size(), experts.gate.size()));
    for (auto& each : places) each.clear();
    for (int row = 0; row < chosen->ne[1]; ++row) {
      const float* numbers = row_of(chosen, row);
      for (int slot = 0; slot < experts.used; ++slot)
        places[static_cast<std::size_t>(numbers[slot])].push_back({row, slot});
    }
  }

  /// The rows of `from` that `row_at` names for these places, coded.
  template <class RowAt>
  void code(const ggml_tensor* from, std::span<const Place> these, RowAt row_at) {
    const auto width = static_cast<std::size_t>(from->ne[0]);
    gathered.resize(these.size() * width);
    for (std::size_t i = 0; i < these.size(); ++i)
      std::copy_n(row_of(from, row_at(these[i])), width, gathered.data() + i * width);
    kernels::quant_matmul()->quantise(gathered.data(), static_cast<int>(these.size()),
                                      static_cast<int>(width), static_cast<std::ptrdiff_t>(width), coded);
  }

  /// Row i is the product of the i-th coded one, in the columns of the groups that were asked for.
  const float* multiply(const kernels::PackedMatrix& matrix, int first, int end) {
    product.resize(static_cast<std::size_t>(coded.rows) * static_cast<std::size_t>(matrix.rows()));
    kernels::quant_matmul()->multiply(matrix, coded, first, end, product.data(), matrix.rows());
    return product.data();
  }
};

/// Calls fn with an expert's number and some of its places, few enough that their coded rows stay in a core's cache
/// beside a group of weights.
template <class Fn>
void for_each_chunk(const Workspace& work, int experts, std::int64_t columns, Fn&& fn) {
  const auto most = static_cast<std::size_t>(kernels::quant_matmul()->chunk_rows(static_cast<int>(columns)));
  for (int expert = 0; expert < experts; ++expert) {
    std::span<const Place> left = work.places[static_cast<std::size_t>(expert)];
    while (!left.empty()) {
      const std::size_t count = std::min(most, left.size());
      fn(expert, left.first(count));
      left = left.subspan(count);
    }
  }
}

/// A part's columns of a matrix's output.
struct Columns {
  Columns(const kernels::PackedMatrix& matrix, int part, int parts)
      : group_first(matrix.groups() * part / parts),
        group_end(matrix.groups() * (part + 1) / parts),
        first(static_cast<std::size_t>(group_first) * kPackedRows),
        count(static_cast<std::size_t>(std::min(group_end * kPackedRows, matrix.rows())) - first) {}
  int group_first, group_end;
  std::size_t first, count;
};

/// dst: [gate and up, used * rows]. src: the input, what was chosen.
void enter_op(ggml_tensor* dst, int part, int parts, void* userdata) {
  const auto& experts = *static_cast<const Experts*>(userdata);
  const ggml_tensor* input = dst->src[0];
  thread_local Workspace work;
  work.sort(dst->src[1], experts);
  for_each_chunk(work, experts.count(), input->ne[0], [&](int expert, std::span<const Place> places) {
    work.code(input, places, [](const Place& place) { return place.row; });
    std::size_t half = 0;
    for (const auto* matrices : {&experts.gate, &experts.up}) {
      const kernels::PackedMatrix& matrix = *(*matrices)[static_cast<std::size_t>(expert)];
      const Columns columns(matrix, part, parts);
      const float* product = work.multiply(matrix, columns.group_first, columns.group_end);
      for (std::size_t i = 0; i < places.size(); ++i) {
        float* out = row_of(dst, std::int64_t{places[i].row} * experts.used + places[i].slot);
        std::copy_n(product + i * static_cast<std::size_t>(matrix.rows()) + columns.first, columns.count,
                    out + half + columns.first);
      }
      half += static_cast<std::size_t>(matrix.rows());
    }
  });
}

/// dst: [hidden, rows]. src: what the chosen experts' activations are [feed_forward, used * rows], what was chosen.
void leave_op(ggml_tensor* dst, int part, int parts, void* userdata) {
  const auto& experts = *static_cast<const Experts*>(userdata);
  const ggml_tensor *active = dst->src[0], *chosen = dst->src[1];
  const Columns columns(*experts.down.front(), part, parts);
  for (std::int64_t row = 0; row < dst->ne[1]; ++row)
    std::fill_n(row_of(dst, row) + columns.first, columns.count, 0.0F);
  thread_local Workspace work;
  work.sort(chosen, experts);
  for_each_chunk(work, experts.count(), active->ne[0], [&](int expert, std::span<const Place> places) {
    work.code(active, places,
              [&](const Place& place) { return std::int64_t{place.row} * experts.used + place.slot; });
    const kernels::PackedMatrix& matrix = *experts.down[static_cast<std::size_t>(expert)];
    const float* product = work.multiply(matrix, columns.group_first, columns.group_end);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const float share = row_of(chosen, places[i].row)[experts.used + places[i].slot];
      const float* from = product + i * static_cast<std::size_t>(matrix.rows()) + columns.first;
      float* out = row_of(dst, places[i].row) + columns.first;
      for (std::size_t n = 0; n < columns.count; ++n) out[n] += share * from[n];
    }
  });
}

}  // namespace

ggml_tensor* mix_experts(ggml_context* context, const Experts& experts, ggml_tensor* input) {
  auto* const data = const_cast<Experts*>(&experts);
  const auto add = [&](std::int64_t columns, std::int64_t rows, std::vector<ggml_tensor*> sources,
                       ggml_custom_op_t op, int tasks) {
    return ggml_custom_4d(context, GGML_TYPE_F32, columns, rows, 1, 1, sources.data(),
                          static_cast<int>(sources.size()), op, tasks, data);
  };
  const std::int64_t rows = input->ne[1];
  ggml_tensor* scores = add(experts.count(), rows, {input}, score_op, GGML_N_TASKS_MAX);
  ggml_tensor* chosen = add(std::int64_t{2} * experts.used, rows, {scores}, choose_op, kSmallTasks);
  const std::int64_t both = std::int64_t{2} * experts.gate.front()->rows();
  ggml_tensor* entered = add(both, rows * experts.used, {input, chosen}, enter_op, GGML_N_TASKS_MAX);
  return add(input->ne[0], rows, {ggml_swiglu(context, entered), chosen}, leave_op, GGML_N_TASKS_MAX);
}

}  // namespace pmt::model
