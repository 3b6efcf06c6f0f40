// Where a prompt's question lies among its tokens. Plain data.
#pragma once

#include <algorithm>

#include "base/check.h"
#include "compression/eviction.h"

namespace pmt::compression {

/// A prompt of `tokens` ends in a question, [first, end), and the template's turn to answer it, [end,
/// tokens).
struct QuestionPlace {
  int first = 0;
  int end = 0;
  int tokens = 0;
  int asked() const { return end - first; }
};
/// Up to this ratio every head keeps the question whole (note 0005).
inline constexpr double kQuestionRatioMax = 16;

/// 0 < first < tokens; of few tokens the question is none.
inline QuestionPlace question_from(int first, int tokens) {
  CHECK(first > 0 && first < tokens);
  return {first, std::max(first, tokens - kPromptEndTokens), tokens};
}

}  // namespace pmt::compression
