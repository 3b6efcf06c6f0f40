#include "compression/quality.h"

#include <algorithm>

namespace pmt::compression {
namespace {

constexpr std::int64_t kMeasuredFileBytes = 98'362'432;  // SmolLM2-135M-Instruct, Q4_1
constexpr Mode kAgnostic = Mode::kQueryAgnostic;
constexpr Mode kAware = Mode::kQueryAware;

constexpr KvMeasurement kMeasured[] = {
    {"instructions", kAgnostic, 8, 0.870, 138},
    {"instructions", kAgnostic, 64, 0.370, 138},
    {"instructions", kAware, 8, 0.899, 138},
    {"instructions", kAware, 64, 0.739, 138},
    {"longeval", kAgnostic, 8, 1.000, 44},
    {"longeval", kAgnostic, 64, 0.977, 44},
    {"longeval", kAware, 8, 0.977, 44},
    {"longeval", kAware, 64, 0.977, 44},
    {"many_questions", kAgnostic, 8, 0.819, 105},
    {"many_questions", kAgnostic, 64, 0.705, 105},
    {"many_questions", kAware, 8, 0.829, 105},
    {"many_questions", kAware, 64, 0.771, 105},
    {"needle_1400", kAgnostic, 8, 0.961, 103},
    {"needle_1400", kAgnostic, 64, 0.816, 103},
    {"needle_1400", kAware, 8, 0.971, 103},
    {"needle_1400", kAware, 64, 0.971, 103},
    {"needle_3200", kAgnostic, 8, 0.895, 105},
    {"needle_3200", kAgnostic, 64, 0.724, 105},
    {"needle_3200", kAware, 8, 0.914, 105},
    {"needle_3200", kAware, 64, 0.905, 105},
    {"not_leaked", kAgnostic, 8, 0.961, 103},
    {"not_leaked", kAgnostic, 64, 0.932, 103},
    {"not_leaked", kAware, 8, 0.981, 103},
    {"not_leaked", kAware, 64, 0.903, 103},
    {"perplexity", kAgnostic, 8, 0.999, 12},
    {"perplexity", kAgnostic, 64, 0.928, 12},
    {"perplexity", kAware, 8, 0.991, 12},
    {"perplexity", kAware, 64, 0.929, 12},
    {"xquad", kAgnostic, 8, 0.800, 90},
    {"xquad", kAgnostic, 64, 0.744, 90},
    {"xquad", kAware, 8, 0.889, 90},
    {"xquad", kAware, 64, 0.789, 90},
};

}  // namespace

std::span<const KvMeasurement> kv_measurements(std::int64_t file_bytes) {
  if (file_bytes != kMeasuredFileBytes) return {};
  return kMeasured;
}

std::vector<std::string> safe_tasks(std::int64_t file_bytes, Mode mode, double ratio) {
  const auto measured = kv_measurements(file_bytes);
  const bool exact = mode == Mode::kExact || ratio <= 1;
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

}  // namespace pmt::compression
