#include "compression/question.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "base/trimmed.h"
#include "text/asked_part.h"

namespace pmt::compression {
namespace {

/// A longer tail isn't the template's alone: a tool's answer stands between.
constexpr int kTailMax = 32;
/// Of such a one: some templates' turn to answer.
constexpr int kTailTokens = 8;

/// The prompt as text, and where each token begins in it.
struct Spelled {
  std::string text;
  std::vector<std::size_t> begin;  // [tokens + 1]
};

Spelled spell(std::span<const std::string> pieces) {
  Spelled out;
  for (const std::string& piece : pieces) {
    out.begin.push_back(out.text.size());
    out.text += piece;
  }
  out.begin.push_back(out.text.size());
  return out;
}

/// The token that holds the byte `at`.
int token_at(const Spelled& prompt, std::size_t at) {
  const auto next = std::upper_bound(prompt.begin.begin(), prompt.begin.end(), at);
  return static_cast<int>(next - prompt.begin.begin()) - 1;
}

/// The first token that begins at `at` or behind it.
int token_from(const Spelled& prompt, std::size_t at) {
  return static_cast<int>(std::lower_bound(prompt.begin.begin(), prompt.begin.end(), at) -
                          prompt.begin.begin());
}

}  // namespace

std::vector<std::string> pieces_of(const model::Vocab& vocab, std::span<const std::int32_t> prompt) {
  std::vector<std::string> out;
  out.reserve(prompt.size());
  for (const std::int32_t token : prompt) out.push_back(vocab.piece(token, {.name_special = true}));
  return out;
}

std::optional<PromptQuestion> find_question(std::span<const std::string> pieces,
                                            std::optional<std::string_view> turn) {
  const Spelled spelled = spell(pieces);
  const std::string_view all = spelled.text;
  const std::string_view said = base::trimmed(turn.value_or(all));
  const auto asked = text::asked_part(said);
  const auto at = all.rfind(said);
  if (!asked || at == std::string_view::npos) return std::nullopt;
  const auto tokens = static_cast<int>(pieces.size());
  const int turn_end = std::min(token_from(spelled, at + said.size()), tokens);
  PromptQuestion out{.first = token_at(spelled, at + asked->begin),
                     .end = std::min(token_from(spelled, at + asked->end), tokens),
                     .tail = turn_end,
                     .at_end = asked->end == said.size()};
  if (tokens - turn_end > kTailMax) {
    out.tail = tokens - kTailTokens;
    out.at_end = false;
  }
  if (out.first <= 0 || out.first >= out.end || out.end > out.tail) return std::nullopt;
  return out;
}

}  // namespace pmt::compression
