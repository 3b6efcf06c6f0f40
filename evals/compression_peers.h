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
  /// Of a prompt whose user's turn this is.
  std::int64_t count(const std::string& turn) const;
  const model::Vocab& vocab() const { return *vocab_; }

 private:
  Tokens rendered(const Item& item, const Question& question) const;

  std::unique_ptr<model::Vocab> vocab_;
  std::unique_ptr<model::ChatTemplate> template_;
};

struct PeerOptions {
  std::string model;
  int threads = 1;
  std::function<bool(int item)> is_mine;  // the others are somebody else's
};

/// Every question of every item that the record doesn't hold; "full" is llama.cpp's own f16. A context is read once a
/// peer. The bytes are ggml's: 34 for 32 elements of q8_0, 18 of q4_0.
void ask_llama_cpp(const PeerOptions& options, const PromptTokens& prompts, const TaskText& task,
                   CompressionRecord& record);

}  // namespace pmt::evals
