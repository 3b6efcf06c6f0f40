#include "model/testing/byte_tokenizer.h"

#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace pmt::model::testing {

int add_byte_tokenizer(gguf_context* gguf, const std::string& kind) {
  const bool escaped = kind == "rwkv";  // its bytes are plain tokens
  std::vector<std::string> texts{"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types{2, 3, 3};  // unknown, control, control
  for (int byte = 0; byte < 256; ++byte) {
    texts.push_back(escaped ? fmt::format("\\x{:02x}", byte) : fmt::format("<0x{:02X}>", byte));
    types.push_back(escaped ? 1 : 6);  // normal, a byte
  }
  std::vector<const char*> pointers;
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  const std::vector<float> scores(texts.size());
  gguf_set_val_str(gguf, "tokenizer.ggml.model", kind.c_str());
  gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", pointers.data(), pointers.size());
  gguf_set_arr_data(gguf, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), scores.size());
  gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), types.size());
  gguf_set_val_u32(gguf, "tokenizer.ggml.unknown_token_id", 0);
  gguf_set_val_u32(gguf, "tokenizer.ggml.bos_token_id", 1);
  gguf_set_val_u32(gguf, "tokenizer.ggml.eos_token_id", 2);
  gguf_set_val_bool(gguf, "tokenizer.ggml.add_space_prefix", false);
  return static_cast<int>(texts.size());
}

}  // namespace pmt::model::testing
