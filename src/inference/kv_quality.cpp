#include "inference/kv_quality.h"

#include <algorithm>

namespace pmt::inference {
namespace {

constexpr std::int64_t kMeasuredFileBytes = 98'362'432;  // SmolLM2-135M-Instruct, Q4_1
constexpr llm::KvMode kAgnostic = llm::KvMode::kQueryAgnostic;
constexpr llm::KvMode kAware = llm::KvMode::kQueryAware;

constexpr KvMeasurement kMeasured[] = {
    {"instructions", kAgnostic, 8, 0.949, 39},
    {"instructions", kAgnostic, 64, 0.103, 39},
    {"instructions", kAware, 8, 1.000, 22},
    {"instructions", kAware, 64, 0.846, 39},
    {"longeval", kAgnostic, 8, 1.000, 44},
    {"longeval", kAgnostic, 64, 0.886, 44},
    {"longeval", kAware, 8, 1.000, 24},
    {"longeval", kAware, 64, 0.977, 44},
    {"many_questions", kAgnostic, 8, 0.825, 103},
    {"many_questions", kAgnostic, 64, 0.757, 103},
    {"many_questions", kAware, 8, 0.778, 18},
    {"many_questions", kAware, 64, 0.709, 103},
    {"needle_1400", kAgnostic, 8, 0.950, 100},
    {"needle_1400", kAgnostic, 64, 0.740, 100},
    {"needle_1400", kAware, 8, 0.982, 56},
    {"needle_1400", kAware, 64, 0.970, 100},
    {"needle_3200", kAgnostic, 8, 0.889, 36},
    {"needle_3200", kAgnostic, 64, 0.694, 36},
    {"needle_3200", kAware, 8, 0.900, 10},
    {"needle_3200", kAware, 64, 0.917, 36},
    {"not_leaked", kAgnostic, 8, 0.960, 99},
    {"not_leaked", kAgnostic, 64, 0.970, 99},
    {"not_leaked", kAware, 8, 1.000, 34},
    {"not_leaked", kAware, 64, 0.909, 99},
    {"perplexity", kAgnostic, 8, 1.005, 12},
    {"perplexity", kAgnostic, 64, 0.886, 12},
    {"perplexity", kAware, 8, 0.996, 12},
    {"perplexity", kAware, 64, 0.931, 12},
    {"xquad", kAgnostic, 8, 0.809, 89},
    {"xquad", kAgnostic, 64, 0.798, 89},
    {"xquad", kAware, 8, 0.810, 42},
    {"xquad", kAware, 64, 0.775, 89},
};

}  // namespace

std::span<const KvMeasurement> kv_measurements(std::int64_t file_bytes) {
  if (file_bytes != kMeasuredFileBytes) return {};
  return kMeasured;
}

std::vector<std::string> safe_tasks(std::int64_t file_bytes, llm::KvMode mode, double ratio) {
  const auto measured = kv_measurements(file_bytes);
  const bool exact = mode == llm::KvMode::kExact || ratio <= 1;
  double judged = 0;  // the least measured ratio that isn't below
  for (const KvMeasurement& each : measured) {
    if (each.ratio >= ratio && (judged == 0 || each.ratio < judged)) judged = each.ratio;
  }
  std::vector<std::string> out;
  for (const KvMeasurement& each : measured) {
    const bool safe = exact || (each.mode == mode && each.ratio == judged && each.kept >= kSafeShare);
    if (safe && std::find(out.begin(), out.end(), each.task) == out.end()) out.emplace_back(each.task);
  }
  return out;
}

}  // namespace pmt::inference
