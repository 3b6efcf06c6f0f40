#include "model/graph_schedule.h"

#include <atomic>
#include <cstring>

#include <ggml-cpu-impl.h>
#include <ops.h>

#include "base/check.h"

namespace pmt::model {
namespace {

/// Elements that one member computes in less time than a barrier takes.
constexpr std::int64_t kAloneElements = 8192;

bool is_view(ggml_op op) {
  return op == GGML_OP_NONE || op == GGML_OP_VIEW || op == GGML_OP_RESHAPE || op == GGML_OP_PERMUTE ||
         op == GGML_OP_TRANSPOSE;
}

/// Operators whose members never wait for each other inside.
bool is_known(ggml_op op) {
  return op == GGML_OP_ADD || op == GGML_OP_SCALE || op == GGML_OP_RMS_NORM || op == GGML_OP_GLU ||
         op == GGML_OP_GET_ROWS || op == GGML_OP_CUSTOM;
}

/// Requires: an operator of ours.
int tasks(const ggml_tensor* node) {
  ggml_custom_op_params custom{};
  std::memcpy(&custom, node->op_params, sizeof custom);
  return custom.n_tasks;
}

bool is_small(const ggml_tensor* node) {
  if (ggml_nelements(node) > kAloneElements) return false;
  return node->op != GGML_OP_CUSTOM || tasks(node) == kSmallTasks;
}

int parts_of(const ggml_tensor* node) {
  return node->op == GGML_OP_CUSTOM && tasks(node) > kSmallTasks ? tasks(node) : 0;
}

/// As ggml fuses them: x / rms(x) * weight in one pass.
bool is_fused(const ggml_tensor* norm, const ggml_tensor* next) {
  return norm->op == GGML_OP_RMS_NORM && next->op == GGML_OP_MUL && next->src[0] == norm &&
         next->src[1]->type == GGML_TYPE_F32 && next->src[1]->ne[0] == norm->ne[0] &&
         next->src[1]->nb[0] == sizeof(float);
}

}  // namespace

std::optional<GraphSchedule> GraphSchedule::of(ggml_cgraph* graph) {
  GraphSchedule out;
  const int count = ggml_graph_n_nodes(graph);
  for (int i = 0; i < count; ++i) {
    Node node{ggml_graph_node(graph, i), nullptr, parts_of(ggml_graph_node(graph, i))};
    if (is_view(node.tensor->op)) continue;
    if (!is_known(node.tensor->op)) return std::nullopt;
    if (i + 1 < count && is_fused(node.tensor, ggml_graph_node(graph, i + 1)))
      node.times = ggml_graph_node(graph, ++i);
    if (!is_small(node.tensor)) {
      out.stages_.push_back({node, {}});
      continue;
    }
    if (out.stages_.empty()) out.stages_.emplace_back();
    out.stages_.back().alone.push_back(node);
  }
  return out;
}

void GraphSchedule::compute(const Node& node, int part, int parts) {
  const ggml_compute_params params{part, parts, 0, nullptr, nullptr, false};
  switch (node.tensor->op) {
    case GGML_OP_ADD:
      return ggml_compute_forward_add(&params, node.tensor);
    case GGML_OP_SCALE:
      return ggml_compute_forward_scale(&params, node.tensor);
    case GGML_OP_GLU:
      return ggml_compute_forward_glu(&params, node.tensor);
    case GGML_OP_GET_ROWS:
      return ggml_compute_forward_get_rows(&params, node.tensor);
    case GGML_OP_CUSTOM:
      return ggml_compute_forward_custom(&params, node.tensor);
    case GGML_OP_RMS_NORM:
      if (node.times == nullptr) return ggml_compute_forward_rms_norm(&params, node.tensor);
      return ggml_compute_forward_rms_norm_mul_fused(&params, node.tensor, node.times);
    default:
      CHECK(false);
  }
}

void GraphSchedule::run(base::ThreadTeam& team, int members) const {
  // Counts through all stages: of each that is taken in parts, every member sees one number that is too large.
  std::atomic<int> taken{0};
  team.run(members, [&](int member) {
    int before = 0;
    for (const Stage& stage : stages_) {
      if (stage.shared && stage.shared->parts > 0) {
        const int parts = stage.shared->parts;
        for (int part; (part = taken.fetch_add(1, std::memory_order_relaxed) - before) < parts;)
          compute(*stage.shared, part, parts);
        before += parts + members;
      } else if (stage.shared) {
        compute(*stage.shared, member, members);
      }
      team.meet([&] {
        for (const Node& node : stage.alone) compute(node, 0, 1);
      });
    }
  });
}

}  // namespace pmt::model
