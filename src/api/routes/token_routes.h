// POST /v1/tokenize, /v1/detokenize and GET /v1/tokenizer_info (also without /v1): a local model's tokens, as
// llama.cpp's and vLLM's servers give them to their clients.
//
//   tokenize   | {"content", add_special: false, parse_special: true, with_pieces: false} | llama.cpp's form
//              | {"model", "prompt", add_special_tokens: true, return_token_strs: false}   | vLLM's
//              | {"model", "messages", "tools", ...}: what a chat comes to                 | vLLM's
//     answers  | {"tokens", "count", "max_model_len"}, and "token_strs" where asked for
//   detokenize | {"tokens"} -> {"content", "prompt"}: the same text under both names
//   tokenizer_info | ?model=NAME -> names of control tokens, and the chat template       | vLLM's
// Without "model" it is the only local model. One that isn't loaded is loaded for it.
#pragma once

#include "api/answer_on.h"
#include "api/api.h"
#include "api/router.h"

namespace pmt::api {

/// Both must outlive the router. Long texts take seconds: `workers` cut them.
void add_token_routes(Router& router, const ApiOptions& options, VocabularyWorkers& workers);

}  // namespace pmt::api
