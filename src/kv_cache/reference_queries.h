// Queries of a prompt's reader, kept while it reads: what a compression is fitted to (note 0018). Plain data.
#pragma once

#include <cstddef>
#include <vector>

#include "base/ids.h"

namespace pmt::kv_cache {

using LayerId = base::Id<struct LayerTag>;
using KvHeadId = base::Id<struct KvHeadTag>;

/// Queries after RoPE of the tokens [first, first + tokens).
struct ReferenceQueries {
  int first = 0;
  int tokens = 0;
  int heads = 0;
  int head_dim = 0;
  float scale = 1;            // of a score
  std::vector<float> values;  // [layers, tokens, heads, head_dim]

  /// Where in `values` a query begins.
  std::size_t at(std::size_t layer, int position, int head) const {
    const auto row = (layer * static_cast<std::size_t>(tokens) + static_cast<std::size_t>(position - first)) *
                         static_cast<std::size_t>(heads) +
                     static_cast<std::size_t>(head);
    return row * static_cast<std::size_t>(head_dim);
  }
};

}  // namespace pmt::kv_cache
