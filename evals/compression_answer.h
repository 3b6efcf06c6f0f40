// How a free answer is had from a model and judged. Pure but for the model that is asked. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "evals/compression_tasks.h"
#include "model/vocab.h"

namespace pmt::evals {

/// The greatest of a row of logits.
std::int32_t best_of(std::span<const float> logits);

/// Whether the greedy answer that begins with `first` has any of the wanted words in it (or none, where they
/// are forbidden). `next` reads a token and returns the logits after it.
bool answers_well(const Question& question, const model::Vocab& vocab, std::int32_t first,
                  const std::function<std::span<const float>(std::int32_t)>& next);

}  // namespace pmt::evals
