// A local model's tokens, for those who ask for them (POST /tokenize and its like).
// Thread-safety: any thread. Errors: kInvalidArgument, naming the field. Cost: about 3 MB of text a second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "llm/completer.h"

namespace pmt::llm {

struct TokensOptions {
  bool add_special = true;    // the tokens that the model wants around a text
  bool parse_special = true;  // the names of control tokens are those tokens
};

/// What a tokenizer's configuration says beside its tokens. Unset: the model has none.
struct TokenizerInfo {
  std::optional<std::string> bos, eos, pad;  // the names of tokens
  std::optional<std::string> chat_template;  // Jinja
  bool adds_bos = false;
};

class Vocabulary : public Tokenizer {
 public:
  virtual std::vector<std::int32_t> tokens_of(const std::string& text, TokensOptions options) const = 0;
  /// What the model reads for this request, its chat template and tools included.
  virtual base::Result<std::vector<std::int32_t>> prompt_of(const Request& request) const = 0;
  /// A token's bytes, perhaps half a UTF-8 character; a control token's name. Error: there is no such token.
  virtual base::Result<std::string> piece_of(std::int32_t token) const = 0;
  virtual std::int64_t context_tokens() const = 0;
  virtual TokenizerInfo tokenizer_info() const = 0;
};

}  // namespace pmt::llm
