// A prompt as the caller gets it back (`echo`) and, with `logprobs`, the log-probabilities of its tokens.
//
// They are gathered while the prompt is read, out of the logits of its own rows: some rows a step, so that the
// memory of a step is bounded whatever the prompt's length. A token's log-probability has the same bits as if
// it had been written after what stands before it.
//
// The tokens' texts put together are the echoed text, but where token ids begin or end inside a character: the text
// has U+FFFD there. So a token that the tokenizer put before it (the begin of a sequence) has the text "", and keeps
// its place: who counts tokens counts it too.
// Thread-safety: one thread at a time. Cost: a row of logits a token, and two passes over it; with alternatives a
// third.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "llm/event.h"
#include "model/vocab.h"

namespace pmt::inference {

class PromptEcho {
 public:
  /// Nothing is shown.
  PromptEcho() = default;
  /// `text`: what the caller wrote; none: token ids. `top`: alternatives to report a token; none: no
  /// log-probabilities. `vocab` must outlive it.
  PromptEcho(const model::Vocab& vocab, std::vector<std::int32_t> prompt, std::optional<std::string> text,
             std::optional<int> top);

  bool shows() const { return vocab_ != nullptr; }
  bool scores() const { return top_.has_value(); }

  /// How many rows of logits one step may have for this.
  static int rows_max(std::int32_t vocabulary);
  /// Rows whose logits are wanted of a span that starts at the prompt's token `first`: each row tells of the
  /// token after it. Ascending; none of a token that has been scored.
  std::vector<int> rows_of_span(int first, int tokens) const;
  /// `logits`: [those rows, vocabulary].
  void add(std::span<const float> logits);

  /// Requires: all rows were added.
  llm::Delta delta(int choice) const;

 private:
  const model::Vocab* vocab_ = nullptr;
  std::vector<std::int32_t> prompt_;
  std::string text_;
  std::vector<std::string> texts_;  // of the tokens, where they are scored
  std::optional<int> top_;
  std::vector<llm::TokenLogprob> scored_;  // the first so many tokens
};

/// What `token` is in a list of tokens with log-probabilities.
llm::TokenLogprob describe_token(const model::Vocab& vocab, std::span<const float> logits, std::int32_t token,
                                 int top);

}  // namespace pmt::inference
