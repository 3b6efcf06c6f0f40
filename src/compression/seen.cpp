#include "compression/seen.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace pmt::compression {

std::vector<float> rows_for(const kv_cache::ReferenceQueries& queries, std::size_t table, int kv_heads,
                            int rows_max) {
  const std::size_t layer = table / static_cast<std::size_t>(kv_heads);
  const int group = queries.heads / kv_heads;
  const int head = static_cast<int>(table % static_cast<std::size_t>(kv_heads)) * group;
  const int step = (queries.tokens * group + rows_max - 1) / rows_max;
  std::vector<float> rows;
  for (int t = queries.tokens - 1; t >= 0; t -= step) {
    const float* from = queries.values.data() + queries.at(layer, queries.first + t, head);
    std::transform(from, from + static_cast<std::ptrdiff_t>(group) * queries.head_dim,
                   std::back_inserter(rows), [&](float x) { return x * queries.scale; });
  }
  return rows;
}

Seen see(const kernels::HeadPages& pages, int tokens, const std::vector<float>& rows, int head_dim,
         const kernels::AttentionKernels& kernels, kernels::Scratch& scratch) {
  const auto width = static_cast<std::size_t>(head_dim);
  const int count = static_cast<int>(rows.size() / width);
  Seen out{std::vector<float>(static_cast<std::size_t>(count)), std::vector<float>(rows.size())};
  for (int first = 0; first < count; first += kernels::kRowsMax) {
    kernels::AttentionTile tile;
    tile.kv = pages;
    tile.q = rows.data() + static_cast<std::size_t>(first) * width;
    tile.queries = 1;
    tile.group = std::min(kernels::kRowsMax, count - first);
    tile.head_dim = head_dim;
    tile.visible_first = tokens;
    kernels.load_queries(tile, scratch);
    const int segments = (tokens + kernels::kSegmentTokens - 1) / kernels::kSegmentTokens;
    kernels.attend_segment(tile, 0, scratch, scratch.total);
    for (int s = 1; s < segments; ++s) {
      kernels.attend_segment(tile, s, scratch, scratch.part);
      kernels.merge(tile.group, head_dim, scratch.total, scratch.part);
    }
    for (int r = 0; r < tile.group; ++r) {
      const auto row = static_cast<std::size_t>(first + r);
      out.log_sum[row] = scratch.total.max[r] + std::log(scratch.total.sum[r]);
      for (std::size_t d = 0; d < width; ++d)
        out.mean[row * width + d] =
            scratch.total.out[static_cast<std::size_t>(r) * width + d] / scratch.total.sum[r];
    }
  }
  return out;
}

}  // namespace pmt::compression
