// The forms that requests want their answers in (tools, a response_format), and a place to think: compiled for the
// model's vocabulary before the job runs, read back while it is written (notes 0014, 0026).
// Thread-safety: any thread. Errors: name the request's field. Cost: compiling a form may take a second; those that
// were compiled are kept (model/grammar.h), and so is an index of the vocabulary.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inference/job.h"
#include "inference/local_model.h"
#include "inference/structured_output.h"
#include "llm/completer.h"
#include "model/native_chat.h"
#include "model/thinking_style.h"
#include "model/vocab.h"

namespace pmt::inference {

class AnswerForms {
 public:
  /// `vocab` outlives the forms. `style`: none, it doesn't think.
  AnswerForms(const model::Vocab& vocab, std::optional<model::ThinkingStyle> style);

  static bool has_form(const llm::Request& request);

  /// structured_output() of the request, counted.
  base::Result<StructuredOutput> read(const llm::Request& request);
  /// How the model thinks before this answer.
  Thinking thinking_of(const llm::Request& request, std::span<const std::int32_t> prompt,
                       const std::optional<model::NativePrompt>& native) const;
  /// A form binds what comes after the thoughts.
  void allow_thinking(const Thinking& thinking, const std::optional<model::NativePrompt>& native,
                      StructuredOutput& structure) const;
  /// Control tokens whose names stand in the answer's text.
  std::vector<std::int32_t> shown(const std::optional<model::NativePrompt>& native) const;
  /// Compiles the structure's grammar, if it has one. Errors: it is wrong or too complex, naming the field.
  base::Status add_form(const StructuredOutput& structure, const std::optional<model::NativePrompt>& native,
                        Job& job);
  /// What turns the model's text into the events that the request wants of `sink`.
  std::shared_ptr<llm::Sink> sink_of(const llm::Request& request, std::shared_ptr<llm::Sink> sink,
                                     const StructuredOutput& structure,
                                     const std::optional<model::NativePrompt>& native) const;

  /// Its counters.
  void add_to(EngineStats& stats) const;

 private:
  base::Result<model::Grammar> form_of(const std::string& gbnf, const std::vector<std::int32_t>& shown,
                                       const std::string& before);
  std::shared_ptr<const model::TokenIndex> tokens_with(const std::vector<std::int32_t>& shown);

  const model::Vocab& vocab_;
  const std::optional<model::ThinkingStyle> style_;
  std::vector<std::int32_t> closing_;  // of a thought whose budget is spent
  std::mutex indexes_;
  std::shared_ptr<const model::TokenIndex> tokens_;        // made for the first form
  std::shared_ptr<const model::TokenIndex> shown_tokens_;  // where names of control tokens are text
  std::vector<std::int32_t> shown_;                        // those
  std::atomic<std::uint64_t> asked_{0}, found_{0}, refused_{0};
};

}  // namespace pmt::inference
