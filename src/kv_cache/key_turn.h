// Tokens that were read in one place of a text, put into another: values as they are, keys turned by the distance.
// RoPE's rotations add up, so a key that was rotated for position p and is turned by d is the key of position p + d, up
// to one more rounding to f16.
//
// Shapes: pages of kernels::PageCodec::kF16. Thread-safety: the destination is written by one thread. Cost: about 3 us
// a token of 28 layers with two heads of 128, where computing takes 10 ms.
#pragma once

#include <cstddef>
#include <vector>

#include "kv_cache/sequence_kv.h"

namespace pmt::kv_cache {

struct KeyTurn {
  std::vector<float> cos_sin;  // [pairs, 2]: of the angle that each pair of dimensions is turned by
  /// Where a pair's dimensions are: the first at i * stride, the second `distance` later.
  int stride = 1, distance = 0;
  /// Added to each table's keys behind the turn: [tables, head_dim]; empty: nothing is.
  std::vector<float> shift = {};
};

/// Some tokens of one page.
struct PageRows {
  std::byte* page = nullptr;
  int first = 0;
};
struct ConstPageRows {
  const std::byte* page = nullptr;
  int first = 0;
};
/// Tokens that a sequence has read behind other ones than they stand behind now.
struct Run {
  PagePool& pool;
  const SequenceKv& from;
  int first = 0, tokens = 0;
};
/// `to` goes on with them; `turn`: by how many places they come later. Requires: both sequences exact, of one shape and
/// of this pool, without local layers. Errors: as SequenceKv::reserve's, and nothing has changed.
base::Status append_moved(const Run& run, const KeyTurn& turn, SequenceKv& to);

/// Copies `rows` of them, of the table `table`. Dimensions that no pair has are copied as they are.
void move_rows(ConstPageRows from, PageRows to, int rows, int head_dim, const KeyTurn& turn,
               std::size_t table);

}  // namespace pmt::kv_cache
