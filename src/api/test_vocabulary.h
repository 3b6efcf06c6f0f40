// A test's vocabulary: bytes are tokens; 256 begins a text, and "<s>" is its name.
// Thread-safety: any thread, as Vocabulary asks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "llm/vocabulary.h"

namespace pmt::api {

class ByteVocabulary : public llm::Vocabulary {
 public:
  std::int64_t count_tokens(const std::string& text) const override {
    return static_cast<std::int64_t>(text.size());
  }
  std::vector<std::int32_t> tokens_of(const std::string& text, llm::TokensOptions options) const override {
    std::vector<std::int32_t> out;
    if (options.add_special) out.push_back(256);
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool named = options.parse_special && text.compare(i, 3, "<s>") == 0;
      out.push_back(named ? 256 : static_cast<unsigned char>(text[i]));
      if (named) i += 2;
    }
    return out;
  }
  base::Result<std::vector<std::int32_t>> prompt_of(const llm::Request& request) const override {
    return tokens_of(request.messages.back().role + ":" + request.messages.back().content, {});
  }
  base::Result<std::string> piece_of(std::int32_t token) const override {
    if (token == 256) return std::string("<s>");
    if (token > 256) return base::invalid("there is no such token");
    return std::string(1, static_cast<char>(token));
  }
  std::int64_t context_tokens() const override { return 64; }
  llm::TokenizerInfo tokenizer_info() const override {
    return {.bos = "<s>", .eos = {}, .pad = {}, .chat_template = "{{ messages }}", .adds_bos = true};
  }
};

}  // namespace pmt::api
