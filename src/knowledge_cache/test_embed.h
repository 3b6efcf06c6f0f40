// An embedder for tests of what is done with embeddings, not of how good they are: a text's words, hashed into a few
// dimensions. The real one is asked in engine/ and tests/e2e.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "knowledge_cache/gate/relation_space.h"
#include "text/words.h"

namespace pmt::knowledge_cache {

inline constexpr std::size_t kTestWidth = 32;

/// Counts the texts that it embeds in `embedded`, which outlives it.
inline Embed test_embed(std::size_t& embedded) {
  return [&embedded](const std::vector<std::string>& texts) -> base::Result<std::vector<float>> {
    embedded += texts.size();
    std::vector<float> rows;
    for (const std::string& text : texts) {
      std::vector<float> row(kTestWidth, 0.0F);
      row[0] = 1;  // no text is nowhere
      for (const text::Word& word : text::words_of(text)) {
        std::uint32_t hash = 2166136261U;  // FNV-1a
        for (const char c : word.folded) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
        row[hash % kTestWidth] += 1;
      }
      float norm = 0;
      for (const float value : row) norm += value * value;
      for (float& value : row) value /= std::sqrt(norm);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    return rows;
  };
}

}  // namespace pmt::knowledge_cache
