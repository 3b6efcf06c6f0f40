// For bench cache: what the semantic tier costs a request that missed by its exact key, in two parts: one
// question through the real embedder, and everything past it (semantic_lookup.cpp says what that is). Not
// thread-safe.
#pragma once

#include <string>
#include <vector>

#include "response_cache/response_cache.h"

namespace pmt::bench {

/// The times are sorted.
struct SemanticCost {
  std::vector<double> embed_us;              // one question at a time, the model loaded
  std::vector<double> hit_us;                // a rewording of a question that is there
  std::vector<double> miss_us;               // a question about something else
  double found = 0;                          // share of the rewordings whose own question came out nearest
  double nearest_hit = 0, nearest_miss = 0;  // mean cosine of the nearest
};

/// `entries` questions in one scope, each answered by `answer`. Needs some 1.2 KB an entry, and about 15 s
/// for the embedding.
SemanticCost semantic_cost(const std::string& embedder_path, std::size_t entries,
                           const response_cache::Value& answer, unsigned seed);

}  // namespace pmt::bench
