// Finds the question in a prompt's tokens, once for everybody (note 0022): from the user's last turn, which the
// chat template has put into the prompt, and inside it the part that asks (text/asked_part.h).
// Pure. Thread-safety: any thread. Cost: one pass over the prompt's text, some 2 ms for 8K tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/vocab.h"

namespace pmt::compression {

/// Tokens [first, end) ask; from `tail` on the prompt has nothing more of the user's: the template's turn to answer.
struct PromptQuestion {
  int first = 0;
  int end = 0;
  int tail = 0;
  /// Nothing to be asked about stands behind it.
  bool at_end = false;
};

/// What the prompt's tokens spell, control tokens by their names.
std::vector<std::string> pieces_of(const model::Vocab& vocab, std::span<const std::int32_t> prompt);

/// `turn`: the user's last message; none: the prompt is a text as it stands. None found: the question can't be told
/// apart, or the prompt doesn't have the turn's words.
std::optional<PromptQuestion> find_question(std::span<const std::string> pieces,
                                            std::optional<std::string_view> turn);

}  // namespace pmt::compression
