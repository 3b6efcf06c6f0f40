// Checks the token lists of a GGUF before libllama reads them: it takes their types and lengths on trust, and
// ends the process (GGML_ASSERT) when a token occurs twice. With a vocabulary of RWKV's kind it never ends where a byte
// only begins longer tokens, and one of PLaMo 2's kind takes the squares of its tokens' lengths in memory.
// Thread-safety: any thread. Cost: reads the file's metadata once more (50 ms for 49,152 tokens).
#pragma once

#include <string>

#include "base/result.h"

namespace pmt::model {

/// Errors: kCorrupt, with the list at fault and why. Requires init_llama().
base::Status check_token_lists(const std::string& path);

}  // namespace pmt::model
