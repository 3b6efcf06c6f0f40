// Rotary position embedding (arXiv 2104.09864): angles once a step, then applied to every layer and head.
#pragma once

#include <span>
#include <vector>

#include "kv_cache/key_turn.h"
#include "model/hparams.h"

namespace pmt::model {

/// cos and sin for each row's position: [rows, rope_dims / 2], interleaved (cos, sin).
class RopeTable {
 public:
  /// `base`: of the frequencies; local layers have their own.
  RopeTable(const Hparams& hparams, float base, std::vector<float> factors);

  void fill(std::span<const int> positions);
  /// By so many places.
  kv_cache::KeyTurn turn(int places) const;

  /// to[0, rope_dims) = from[0, rope_dims) rotated for row `row`. May be in place.
  void rotate(int row, const float* from, float* to) const;

 private:
  /// cos and sin of one position's angles.
  float* angles(int position, float* out) const;

  int half_;
  RopePairs pairs_;
  float base_;
  std::vector<float> factors_;  // divisors of the frequencies, empty if none
  std::vector<float> table_;
};

}  // namespace pmt::model
