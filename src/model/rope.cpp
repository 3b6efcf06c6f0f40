#include "model/rope.h"

#include <cmath>
#include <utility>

namespace pmt::model {

RopeTable::RopeTable(const Hparams& hparams, float base, std::vector<float> factors)
    : half_(hparams.rope_dims / 2),
      pairs_(hparams.architecture.rope_pairs),
      base_(base),
      factors_(std::move(factors)) {}

void RopeTable::fill(std::span<const int> positions) {
  table_.resize(positions.size() * static_cast<std::size_t>(half_) * 2);
  float* out = table_.data();
  for (const int position : positions) out = angles(position, out);
}

float* RopeTable::angles(int position, float* out) const {
  // The frequencies are multiplied up in f32, as ggml does: at position 8,000 another rounding would move the
  // angle.
  const float step = std::pow(base_, -1.0F / static_cast<float>(half_));
  auto theta = static_cast<float>(position);
  for (int i = 0; i < half_; ++i) {
    const float angle = factors_.empty() ? theta : theta / factors_[static_cast<std::size_t>(i)];
    *out++ = std::cos(angle);
    *out++ = std::sin(angle);
    theta *= step;
  }
  return out;
}

kv_cache::KeyTurn RopeTable::turn(int places) const {
  const bool adjacent = pairs_ == RopePairs::kAdjacent;
  kv_cache::KeyTurn out{.cos_sin = std::vector<float>(static_cast<std::size_t>(half_) * 2),
                        .stride = adjacent ? 2 : 1,
                        .distance = adjacent ? 1 : half_};
  angles(places, out.cos_sin.data());
  return out;
}

void RopeTable::rotate(int row, const float* from, float* to) const {
  const float* angles = table_.data() + static_cast<std::ptrdiff_t>(row) * half_ * 2;
  const int stride = pairs_ == RopePairs::kAdjacent ? 2 : 1;
  const int distance = pairs_ == RopePairs::kAdjacent ? 1 : half_;
  for (int i = 0; i < half_; ++i) {
    const float cos = angles[2 * i];
    const float sin = angles[2 * i + 1];
    const float a = from[i * stride];
    const float b = from[i * stride + distance];
    to[i * stride] = a * cos - b * sin;
    to[i * stride + distance] = a * sin + b * cos;
  }
}

}  // namespace pmt::model
