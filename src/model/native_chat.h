// A conversation in the model's own notation, where its template has one for tools, or one for thinking that is more
// than two tags (thinking_style.h): llama.cpp's chat code (llama-common) renders the template, tells the grammar of
// its calls, and reads calls and thoughts back.
//
// What users write can't forge a turn: names of control tokens in it are marked before the template is run, and
// tokenised as text. Thread-safety: const after create; any thread. Cost: some milliseconds a prompt (the code
// looks at the template by running it many times); reading an answer is linear in it, each time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/chat_template.h"
#include "model/schema_grammar.h"

namespace pmt::model {

struct NativeTool {
  std::string name, description;
  std::string parameters;             // a schema's text
  const FormGrammar* arguments = {};  // its grammar
};

struct NativeCall {
  std::string name, arguments, id;
};

struct NativeMessage {
  ChatMessage message;
  std::vector<NativeCall> calls = {};  // of an assistant's turn
  std::string call_id = {};            // that a tool's result answers
};

/// What an answer's text says. Of one that isn't complete, what is sure so far.
struct NativeAnswer {
  std::string text, reasoning;
  std::vector<NativeCall> calls;
};

class NativeReader {
 public:
  /// Requires: it is of a prompt that isn't tagged. Errors: kInternal, it isn't in the notation.
  base::Result<NativeAnswer> read(const std::string& text, bool partial) const;

 private:
  friend class NativeChat;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

struct NativePrompt {
  std::vector<std::int32_t> tokens;
  std::vector<std::string> stops;
  bool tagged = false;  // calls are Hermes', which have a grammar and a reader of ours: what follows is empty
  std::string grammar;  // GBNF; "": none is known
  std::string before;   // what of the answer the prompt holds: the grammar has it, too
  std::vector<std::int32_t> shown;  // control tokens whose names are part of the answer's text
  NativeReader reader;
};

class NativeChat {
 public:
  /// Null where `source` is no template. `vocab` must outlive it.
  static std::unique_ptr<NativeChat> create(const Vocab& vocab, const std::string& source);
  ~NativeChat();

  /// Whether it can be asked with tools.
  bool knows_tools() const;

  struct Ask {
    std::span<const NativeMessage> messages;
    std::span<const NativeTool> tools = {};
    bool required = false;
    bool parallel = true;
    std::string variables = {};  // as ChatTemplate::render's
  };
  /// Errors: what the template refuses, with its own words; the field is messages.
  base::Result<NativePrompt> render(const Ask& ask) const;

 private:
  struct Impl;
  explicit NativeChat(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pmt::model
