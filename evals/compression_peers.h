// The same questions put to llama.cpp, its keys and values in f16, q8_0 and q4_0: peers of ./dev eval
// compression, from the same file; and the questions as tokens, for others' methods. Not thread-safe. Ends the
// process on llama.cpp's errors.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "evals/compression_record.h"
#include "evals/compression_tasks.h"
#include "model/chat_template.h"
#include "model/vocab.h"

namespace pmt::evals {

using Tokens = std::vector<std::int32_t>;

/// A question's prompt, rendered by the model's template and cut where the item's questions part.
struct Prompt {
  Tokens context, question;
};

class PromptTokens {
 public:
  /// Ends the process where the model can't be read.
  explicit PromptTokens(const std::string& model);
  Prompt of(const Item& item, const Question& question) const;
  const model::Vocab& vocab() const { return *vocab_; }

 private:
  Tokens rendered(const Item& item, const Question& question) const;

  std::unique_ptr<model::Vocab> vocab_;
  std::unique_ptr<model::ChatTemplate> template_;
};

/// Every question of every item; "full" is llama.cpp's own f16. The bytes are ggml's: 34 for 32 elements of q8_0, 18
/// of q4_0.
void ask_llama_cpp(const std::string& model, int threads, const PromptTokens& prompts, const TaskText& task,
                   const std::function<void(const Answer&)>& done);

}  // namespace pmt::evals
