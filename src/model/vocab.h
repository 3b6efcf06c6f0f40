// A model's vocabulary and tokenizer: libllama's, loaded from the GGUF without its weights.
// Thread-safety: const after load; any thread may call anything. libllama documents its tokenization API as
// thread-safe: a call reads the vocabulary and keeps its own state.
// Cost: about 3 MB of ordinary text a second; the vocabulary's strings in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/special_tokens.h"

struct llama_model;
struct llama_vocab;

namespace pmt::model {

struct TokenizeOptions {
  /// Begin-of-sequence (and end, for models trained so) where the model asks for it.
  bool add_special = false;
  /// The names of control tokens in the text become those tokens. Never for text that a user wrote.
  bool parse_special = false;
};

struct PieceOptions {
  bool name_special = false;  // a control token's name instead of nothing
};

class Vocab {
 public:
  /// Errors: no such file (kNotFound), not readable (kIo), not a GGUF, truncated, or a tokenizer that
  /// libllama doesn't know (kCorrupt, with libllama's reason).
  static base::Result<std::unique_ptr<Vocab>> load(const std::string& path);
  ~Vocab();
  Vocab(const Vocab&) = delete;
  Vocab& operator=(const Vocab&) = delete;

  /// Requires: fewer than 2^31 bytes. Bytes that aren't UTF-8 become U+FFFD.
  std::vector<std::int32_t> tokenize(std::string_view text, TokenizeOptions options) const;
  /// Tokens of `text` as a part of a prompt: nothing added.
  std::int64_t count_tokens(std::string_view text) const;
  /// A token's bytes, perhaps half a UTF-8 character; "" for a control token. Requires 0 <= token < size().
  std::string piece(std::int32_t token, PieceOptions options = {}) const;

  std::int32_t size() const { return size_; }
  /// Whether this token ends the generation (end of sequence, of turn, ...).
  bool is_eog(std::int32_t token) const;
  std::optional<std::int32_t> bos() const;
  std::optional<std::int32_t> eos() const;
  std::optional<std::int32_t> pad() const;
  bool adds_bos() const;
  /// Of a model that was trained to write what is missing between two texts.
  struct FillInMiddle {
    std::int32_t prefix, suffix, middle;
  };
  std::optional<FillInMiddle> fill_in_middle() const;
  const SpecialTokens& special_tokens() const { return *special_tokens_; }
  /// The Jinja source of the model's own chat template.
  const std::optional<std::string>& chat_template() const { return chat_template_; }
  /// For libllama calls that no method covers.
  const llama_vocab* raw() const { return vocab_; }

 private:
  struct FreeModel {
    void operator()(llama_model* model) const;
  };
  explicit Vocab(std::unique_ptr<llama_model, FreeModel> model);
  /// libllama's tokenizer; parse_special is taken as false.
  std::vector<std::int32_t> tokenize_plain(std::string_view text, TokenizeOptions options) const;

  std::unique_ptr<llama_model, FreeModel> model_;
  const llama_vocab* vocab_ = nullptr;
  std::int32_t size_ = 0;
  std::optional<std::string> chat_template_;
  std::unique_ptr<SpecialTokens> special_tokens_;
};

}  // namespace pmt::model
