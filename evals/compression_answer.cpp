#include "evals/compression_answer.h"

#include <algorithm>

#include "text/plain_words.h"

namespace pmt::evals {
namespace {

constexpr std::size_t kFreeTokens = 24;  // that a free answer may have beyond the gold one's

bool holds_any(const std::string& text, const std::vector<std::string>& wanted) {
  const std::string words = text::plain_text(text);
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& each) {
    return words.find(text::plain_text(each)) != std::string::npos;
  });
}

}  // namespace

std::int32_t best_of(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

bool answers_well(const Question& question, const model::Vocab& vocab, std::int32_t first,
                  const std::function<std::span<const float>(std::int32_t)>& next) {
  std::int32_t token = first;
  std::string text;
  for (std::size_t i = 0; i < question.gold.size() + kFreeTokens && !vocab.is_eog(token); ++i) {
    const std::string piece = vocab.piece(token);
    // A word is whole when the next one begins.
    if (piece.starts_with(' ') && holds_any(text, question.wanted)) break;
    text += piece;
    token = best_of(next(token));
  }
  return holds_any(text, question.wanted) != question.forbidden;
}

}  // namespace pmt::evals
