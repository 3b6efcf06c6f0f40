// Turns a conversation into the model's prompt by the model's own Jinja template, run by llama.cpp's Jinja
// engine with the variables that Hugging Face's apply_chat_template sets, so that both render the same text.
//
// What users write can't forge a turn: the engine tracks which bytes of the rendered prompt come from message
// contents, and a control token's name in those bytes ("<|im_end|>") is tokenised as plain text. Without such
// a name, encode_chat() gives exactly what tokenising the rendered prompt gives.
// Thread-safety: const after create; any thread may call anything (the template's syntax tree is read only).
// Cost: about 20 us for a short conversation, plus tokenising the prompt.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/vocab.h"

namespace pmt::model {

struct ChatMessage {
  std::string role;  // system, developer (taken as system), user, assistant, tool
  std::string content;
  std::string name = {};       // "" when not given
  std::string reasoning = {};  // what an assistant thought before it: shown where the template wants it
};

class ChatTemplate {
 public:
  /// The template of `vocab`'s model. `vocab` must outlive it. Errors: the model has none (kInvalidArgument;
  /// the message points to /v1/completions), or it isn't valid Jinja (kCorrupt).
  static base::Result<std::unique_ptr<ChatTemplate>> create(const Vocab& vocab);
  /// The same with `source` in place of the model's template.
  static base::Result<std::unique_ptr<ChatTemplate>> create(const Vocab& vocab, const std::string& source);
  ~ChatTemplate();
  ChatTemplate(const ChatTemplate&) = delete;
  ChatTemplate& operator=(const ChatTemplate&) = delete;

  /// The prompt up to where the assistant begins its answer. `variables`: an object's JSON text, of what the
  /// template is told beside the messages; its texts are the user's. Errors: no message, a role that isn't a
  /// plain name, or what the template refuses, with its own words; the field is messages.
  base::Result<std::string> render(std::span<const ChatMessage> messages,
                                   const std::string& variables = {}) const;
  /// The same as tokens, begin-of-sequence included where the model wants it.
  base::Result<std::vector<std::int32_t>> encode_chat(std::span<const ChatMessage> messages,
                                                      const std::string& variables = {}) const;

  struct CutTokens {
    std::vector<std::int32_t> tokens;
    std::vector<std::size_t> cuts;  // how many tokens stand before each mark
  };
  /// The same where contents hold `mark`: it is left out, and no token reaches across its place, so what stands
  /// between two marks has the same tokens wherever it stands. Requires: a mark that isn't empty.
  base::Result<CutTokens> encode_cut(std::span<const ChatMessage> messages, const std::string& variables,
                                     std::string_view mark) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pmt::model
