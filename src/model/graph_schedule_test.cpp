#include "model/graph_schedule.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <ggml-cpu.h>
#include <gtest/gtest.h>

namespace pmt::model {
namespace {

constexpr std::int64_t kWidth = 64;

/// An operator of ours: members share the rows.
void halve_op(ggml_tensor* dst, int thread, int threads, void* /*userdata*/) {
  for (std::int64_t row = thread; row < dst->ne[1]; row += threads) {
    const auto* from = reinterpret_cast<const float*>(static_cast<const char*>(dst->src[0]->data) +
                                                      row * dst->src[0]->nb[1]);
    auto* to = static_cast<float*>(dst->data) + row * dst->ne[0];
    for (std::int64_t i = 0; i < dst->ne[0]; ++i) to[i] = from[i] / 2;
  }
}

/// Parts share what is one row's: how it is called must not show.
void quarter_op(ggml_tensor* dst, int part, int parts, void* /*userdata*/) {
  const std::int64_t width = dst->ne[0], first = width * part / parts, end = width * (part + 1) / parts;
  for (std::int64_t row = 0; row < dst->ne[1]; ++row) {
    const auto* from = reinterpret_cast<const float*>(static_cast<const char*>(dst->src[0]->data) +
                                                      row * dst->src[0]->nb[1]);
    auto* to = static_cast<float*>(dst->data) + row * width;
    for (std::int64_t i = first; i < end; ++i) to[i] = from[i] / 4;
  }
}

/// What a layer is made of, with `rows` rows.
class Graph {
 public:
  explicit Graph(std::int64_t rows) : context_(ggml_init({16U << 20, nullptr, false})) {
    ggml_tensor* x = random({kWidth, rows});
    ggml_tensor* bias = random({kWidth, 1});
    ggml_tensor* heads = ggml_reshape_2d(context_.get(), halved(norm(x, kWidth)), 16, rows * kWidth / 16);
    ggml_tensor* y = ggml_reshape_2d(context_.get(), norm(heads, 16), kWidth, rows);
    y = ggml_add(context_.get(), halved(y), bias);
    y = ggml_scale(context_.get(), quartered(y, 13), 1.5F);
    y = halved(ggml_swiglu(context_.get(), ggml_add(context_.get(), y, x)));
    ggml_tensor* last = ggml_new_tensor_1d(context_.get(), GGML_TYPE_I32, 1);
    *static_cast<std::int32_t*>(last->data) = static_cast<std::int32_t>(rows - 1);
    ggml_tensor* one = ggml_get_rows(context_.get(), y, last);
    out_ = halved(quartered(ggml_geglu_split(context_.get(), y, ggml_add(context_.get(), y, one)), 2));
    graph_ = ggml_new_graph(context_.get());
    ggml_build_forward_expand(graph_, out_);
  }

  ggml_context* context() { return context_.get(); }
  ggml_cgraph* graph() { return graph_; }
  ggml_tensor* random(const std::vector<std::int64_t>& shape) {
    ggml_tensor* tensor = ggml_new_tensor(context_.get(), GGML_TYPE_F32, 2, shape.data());
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < ggml_nelements(tensor); ++i)
      static_cast<float*>(tensor->data)[i] = normal(rng_);
    return tensor;
  }
  /// The last node's values; then they are lost.
  std::vector<float> take() {
    auto* values = static_cast<float*>(out_->data);
    std::vector<float> taken(values, values + ggml_nelements(out_));
    std::memset(values, 0xff, ggml_nbytes(out_));
    return taken;
  }

 private:
  struct Free {
    void operator()(ggml_context* context) const { ggml_free(context); }
  };
  ggml_tensor* norm(ggml_tensor* x, std::int64_t width) {
    return ggml_mul(context_.get(), ggml_rms_norm(context_.get(), x, 1e-5F), random({width, 1}));
  }
  ggml_tensor* halved(ggml_tensor* x) {
    return ggml_custom_4d(context_.get(), GGML_TYPE_F32, x->ne[0], x->ne[1], 1, 1, &x, 1, halve_op,
                          GGML_N_TASKS_MAX, nullptr);
  }

  ggml_tensor* quartered(ggml_tensor* x, int parts) {
    return ggml_custom_4d(context_.get(), GGML_TYPE_F32, x->ne[0], x->ne[1], 1, 1, &x, 1, quarter_op, parts,
                          nullptr);
  }

  std::mt19937 rng_{7};
  std::unique_ptr<ggml_context, Free> context_;
  ggml_tensor* out_ = nullptr;
  ggml_cgraph* graph_ = nullptr;
};

TEST(GraphScheduleTest, GivesGgmlsBitsWithAnyNumberOfMembers) {
  for (const std::int64_t rows : {1, 9, 300}) {
    Graph graph(rows);
    ASSERT_EQ(ggml_graph_compute_with_ctx(graph.context(), graph.graph(), 1), GGML_STATUS_SUCCESS);
    const std::vector<float> want = graph.take();
    const auto schedule = GraphSchedule::of(graph.graph());
    ASSERT_TRUE(schedule);
    base::ThreadTeam team(5);
    for (const int members : {1, 2, 5, 1, 3, 5}) {
      schedule->run(team, members);
      const std::vector<float> got = graph.take();
      ASSERT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0)
          << rows << " rows, " << members << " members";
    }
  }
}

/// Counts how often each part was computed.
void count_op(ggml_tensor* dst, int part, int parts, void* userdata) {
  auto& counts = *static_cast<std::vector<std::atomic<int>>*>(userdata);
  ASSERT_EQ(static_cast<std::size_t>(parts), counts.size());
  counts[static_cast<std::size_t>(part)] += 1;
  static_cast<float*>(dst->data)[0] = 1;
}

TEST(GraphScheduleTest, EachPartIsTakenOnceByWhoeverHasTime) {
  std::unique_ptr<ggml_context, void (*)(ggml_context*)> context(ggml_init({1U << 20, nullptr, false}),
                                                                 ggml_free);
  std::vector<std::atomic<int>> first(17), second(2);
  ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, kWidth, 1);
  for (auto* counts : {&first, &second, &first})
    x = ggml_custom_4d(context.get(), GGML_TYPE_F32, kWidth, 1, 1, 1, &x, 1, count_op,
                       static_cast<int>(counts->size()), counts);
  ggml_cgraph* graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, x);
  const auto schedule = GraphSchedule::of(graph);
  ASSERT_TRUE(schedule);
  base::ThreadTeam team(3);
  int runs = 0;
  for (const int members : {1, 3, 2, 3}) {
    schedule->run(team, members);
    ++runs;
    for (const auto& count : first) EXPECT_EQ(count, 2 * runs);
    for (const auto& count : second) EXPECT_EQ(count, runs);
  }
}

TEST(GraphScheduleTest, ARowsSmallOperatorsAreNoStages) {
  Graph one(1);
  // Ours, and the beginning, which is a norm.
  EXPECT_EQ(GraphSchedule::of(one.graph())->stages(), 7U);
  Graph many(300);
  // Those and two norms (each with its product in one), three sums, a scaling and two gates. A look-up of one row is
  // still small.
  EXPECT_EQ(GraphSchedule::of(many.graph())->stages(), 14U);
}

TEST(GraphScheduleTest, LeavesGgmlWhatNeedsItsThreads) {
  Graph graph(9);
  ggml_tensor* product = ggml_mul_mat(graph.context(), graph.random({kWidth, 16}), graph.random({kWidth, 9}));
  ggml_cgraph* with_product = ggml_new_graph(graph.context());
  ggml_build_forward_expand(with_product, product);
  EXPECT_FALSE(GraphSchedule::of(with_product));
}

}  // namespace
}  // namespace pmt::model
