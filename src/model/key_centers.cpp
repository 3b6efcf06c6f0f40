#include "model/key_centers.h"

#include <cstddef>

namespace pmt::model {
namespace {

/// Calls with the indices of each pair's two dimensions, its cosine and its sine.
template <class F>
void for_pairs(const kv_cache::KeyTurn& turn, F&& f) {
  for (std::size_t pair = 0; pair < turn.cos_sin.size() / 2; ++pair) {
    const std::size_t a = pair * static_cast<std::size_t>(turn.stride);
    f(a, a + static_cast<std::size_t>(turn.distance), turn.cos_sin[2 * pair], turn.cos_sin[2 * pair + 1]);
  }
}

}  // namespace

std::vector<float> key_center(std::span<const float> bias, const RopeTable& rope) {
  constexpr int kPositions = 4096, kStep = 16;
  constexpr double kShare = static_cast<double>(kStep) / kPositions;
  std::vector<double> sum(bias.begin(), bias.end());
  for_pairs(rope.turn(0), [&](std::size_t a, std::size_t b, float, float) { sum[a] = sum[b] = 0; });
  for (int position = 0; position < kPositions; position += kStep) {
    for_pairs(rope.turn(position), [&](std::size_t a, std::size_t b, float cos, float sin) {
      sum[a] += kShare * (double{bias[a]} * cos - double{bias[b]} * sin);
      sum[b] += kShare * (double{bias[a]} * sin + double{bias[b]} * cos);
    });
  }
  return {sum.begin(), sum.end()};
}

std::vector<float> centers_turned(std::span<const float> centers, int head_dim,
                                  const kv_cache::KeyTurn& turn) {
  std::vector<float> out(centers.size());
  for (std::size_t table = 0; table < centers.size(); table += static_cast<std::size_t>(head_dim)) {
    for_pairs(turn, [&](std::size_t a, std::size_t b, float cos, float sin) {
      const float x = centers[table + a], y = centers[table + b];
      out[table + a] = x * cos - y * sin - x;
      out[table + b] = x * sin + y * cos - y;
    });
  }
  return out;
}

}  // namespace pmt::model
