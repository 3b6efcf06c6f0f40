// Which passage is found for a question: by words alone, by embeddings alone, by both. Thread-safety: none.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "evals/documents_worlds.h"
#include "lab/measure.h"

namespace pmt::evals {

/// A unit vector for each text.
using EmbedTexts = std::function<std::vector<std::vector<float>>(const std::vector<std::string>& texts)>;

/// Adds a row for each ranking: the share of the questions for which the right passage is first, and among the first
/// three. `embed`: null leaves words.
void add_retrieval(const DocumentWorld& world, const EmbedTexts& embed, lab::Result& result);

}  // namespace pmt::evals
