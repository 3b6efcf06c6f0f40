#include "inference/kv_quality.h"

#include <algorithm>

namespace pmt::inference {
namespace {

constexpr std::int64_t kMeasuredFileBytes = 98'362'432;  // SmolLM2-135M-Instruct, Q4_1
constexpr llm::KvMode kAgnostic = llm::KvMode::kQueryAgnostic;
constexpr llm::KvMode kAware = llm::KvMode::kQueryAware;

constexpr KvMeasurement kMeasured[] = {
    {"instructions", kAgnostic, 8, 0.861, 36},
    {"instructions", kAgnostic, 64, 0.000, 19},
    {"instructions", kAware, 8, 0.861, 36},
    {"instructions", kAware, 64, 0.579, 19},
    {"longeval", kAgnostic, 8, 1.000, 24},
    {"longeval", kAgnostic, 64, 0.917, 24},
    {"longeval", kAware, 8, 0.958, 24},
    {"longeval", kAware, 64, 0.000, 24},
    {"many_questions", kAgnostic, 8, 0.857, 14},
    {"many_questions", kAgnostic, 64, 0.304, 23},
    {"many_questions", kAware, 8, 0.857, 14},
    {"many_questions", kAware, 64, 0.522, 23},
    {"needle_1400", kAgnostic, 8, 0.955, 89},
    {"needle_1400", kAgnostic, 64, 0.526, 38},
    {"needle_1400", kAware, 8, 0.978, 89},
    {"needle_1400", kAware, 64, 1.000, 38},
    {"needle_3200", kAgnostic, 8, 0.839, 31},
    {"needle_3200", kAgnostic, 64, 0.375, 16},
    {"needle_3200", kAware, 8, 0.903, 31},
    {"needle_3200", kAware, 64, 0.875, 16},
    {"not_leaked", kAgnostic, 8, 0.971, 35},
    {"not_leaked", kAgnostic, 64, 1.000, 36},
    {"not_leaked", kAware, 8, 0.971, 35},
    {"not_leaked", kAware, 64, 0.917, 36},
    {"perplexity", kAgnostic, 8, 0.994, 10},
    {"perplexity", kAgnostic, 64, 0.869, 8},
    {"perplexity", kAware, 8, 0.991, 10},
    {"perplexity", kAware, 64, 0.917, 8},
    {"xquad", kAgnostic, 8, 0.828, 64},
    {"xquad", kAgnostic, 64, 0.317, 41},
    {"xquad", kAware, 8, 0.828, 64},
    {"xquad", kAware, 64, 0.390, 41},
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
