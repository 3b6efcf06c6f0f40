// A tokenizer of single bytes for tests' model files: 259 tokens with <unk>, <s> and </s>.
// Thread-safety: one thread each.
#pragma once

#include <string>

#include <gguf.h>

namespace pmt::model::testing {

/// Returns the number of its tokens. `kind`: libllama's name of it: "llama" (SentencePiece's), "rwkv" or "plamo2".
int add_byte_tokenizer(gguf_context* gguf, const std::string& kind = "llama");

}  // namespace pmt::model::testing
