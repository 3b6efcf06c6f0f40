// A tokenizer of single bytes (SentencePiece's kind) for tests' model files: 259 tokens with <unk>, <s> and </s>.
// Thread-safety: one thread each.
#pragma once

#include <gguf.h>

namespace pmt::model::testing {

/// Returns the number of its tokens.
int add_byte_tokenizer(gguf_context* gguf);

}  // namespace pmt::model::testing
