// A request's prompt as the model reads it: a chat through the model's template (in the template's own notation for
// tools, where it has one), a text as it stands, with a suffix as the model was trained to fill in.
// Thread-safety: const after construction; any thread. Errors: kInvalidArgument and kTooLarge, naming the field.
// Cost: about 3 MB of text a second; some milliseconds where the template knows tools.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "inference/structured_output.h"
#include "llm/request.h"
#include "model/chat_template.h"
#include "model/native_chat.h"
#include "model/thinking_style.h"
#include "model/vocab.h"

namespace pmt::inference {

struct EncodedPrompt {
  std::vector<std::int32_t> tokens;
  /// Where the template has a notation for tools or thoughts that can be followed; its own tokens are those above.
  std::optional<model::NativePrompt> native;
  /// Where passages of documents are shown: what stands before the first one, then each one, ends so many tokens in.
  /// Empty: none are, or they can't be told apart.
  std::vector<std::size_t> passage_ends;
};

class PromptEncoder {
 public:
  struct Options {
    std::string model;  // its name as served, for errors
    std::int64_t context_tokens = 0;
    std::optional<std::string> source = {};  // of its chat template
  };
  /// `chat_template`: null when the model has none. `vocab` outlives the encoder.
  PromptEncoder(Options options, const model::Vocab& vocab,
                std::unique_ptr<model::ChatTemplate> chat_template);

  bool has_chat_template() const { return chat_template_ != nullptr; }
  /// Whether the template has a notation of its own for calls.
  bool knows_tools() const { return native_ != nullptr && native_->knows_tools(); }
  const std::optional<model::ThinkingStyle>& thinking() const { return thinking_; }

  base::Result<EncodedPrompt> encode(const llm::Request& request, const StructuredOutput& structure) const;
  /// kTooLarge: a prompt of so many tokens leaves no room for an answer.
  base::Status check_length(const llm::Request& request, std::size_t tokens) const;
  /// Whether the vocabulary has it.
  base::Status check_token(std::int32_t token) const;

 private:
  base::Result<EncodedPrompt> encode_plain(const llm::Request& request, const std::string& instruction) const;
  base::Result<EncodedPrompt> encode_passages(const llm::Request& request,
                                              std::vector<model::ChatMessage> messages) const;
  base::Result<std::vector<std::int32_t>> encode_text(const llm::Request& request) const;
  std::optional<model::NativePrompt> native_prompt(const llm::Request& request,
                                                   const StructuredOutput& structure) const;

  const Options options_;
  const model::Vocab& vocab_;
  const std::unique_ptr<model::ChatTemplate> chat_template_;  // null when the model has none
  const std::unique_ptr<model::NativeChat> native_;           // likewise
  const std::optional<model::ThinkingStyle> thinking_;
};

}  // namespace pmt::inference
