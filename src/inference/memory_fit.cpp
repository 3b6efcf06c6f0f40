#include "inference/memory_fit.h"

#include <algorithm>

#include <fmt/format.h>

namespace pmt::inference {
namespace {

/// The shortest context that is worth loading a model for.
constexpr std::int64_t kTokensMin = 512;

double mib(std::int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

}  // namespace

base::Result<MemoryFit> fit_memory(const MemoryNeed& need) {
  if (need.available < 0) return MemoryFit{need.kv_bytes_max};
  const std::int64_t loaded = need.weights + kWorkingBytes;
  const std::int64_t room = need.available - loaded;
  const std::int64_t least = std::min(need.kv_bytes_max, kTokensMin * need.kv_bytes_per_token);
  if (room < least) {
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("{} doesn't fit into memory: its weights take {:.0f} MiB, working memory {:.0f} MiB and "
                    "{} tokens of context {:.0f} MiB, and {:.0f} MiB are available: {:.0f} MiB short. What "
                    "would fit: a file of at most {:.0f} MiB (a smaller model, or this one in fewer bits)",
                    need.name, mib(need.weights), mib(kWorkingBytes), kTokensMin, mib(least),
                    mib(need.available), mib(least - room),
                    std::max(0.0, mib(need.available - kWorkingBytes - least)))};
  }
  if (room >= need.kv_bytes_max) return MemoryFit{need.kv_bytes_max};
  const std::int64_t tokens = room / std::max<std::int64_t>(1, need.kv_bytes_per_token);
  return MemoryFit{
      room,
      fmt::format("{}: its page pool gets {:.0f} MiB instead of the {:.0f} MiB of kv_bytes: weights and "
                  "working memory leave so much of the {:.0f} MiB available, {:.0f} MiB short. That holds "
                  "{} tokens of context exactly, about {} at kv_ratio 8. Shorter contexts or a ratio fit",
                  need.name, mib(room), mib(need.kv_bytes_max), mib(need.available),
                  mib(need.kv_bytes_max - room), tokens, 7 * tokens)};
}

}  // namespace pmt::inference
