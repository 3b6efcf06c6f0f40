// Tests' model files: tiny, of random weights, of any of our architectures, with or without a tokenizer.
// Thread-safety: one thread each. The file goes with the object.
#pragma once

#include <filesystem>
#include <string>

#include <ggml.h>

namespace pmt::model::testing {

struct TinyModelOptions {
  std::string architecture = "llama";
  int head_dim = 16;
  int layers = 2;
  int hidden = 64;
  int heads = 4;
  int kv_heads = 2;
  int feed_forward = 96;
  int experts = 8;      // qwen3moe's, each as wide as feed_forward; a token has two
  int vocabulary = 80;  // without a tokenizer
  int context_tokens = 256;
  int window = 20;                    // gemma3's; its last layer is global
  ggml_type weights = GGML_TYPE_F32;  // of the matrices, whose columns must then be whole blocks
  bool dequantised = false;           // written as f32, with the values that `weights` gives them
  bool tied = false;                  // no output matrix: the embedding's serves
  bool tokenizer = false;  // of single bytes (SentencePiece's kind), 259 tokens with <unk>, <s> and </s>
  bool leave_out_last_tensor = false;
};

class TinyModel {
 public:
  explicit TinyModel(TinyModelOptions options);
  ~TinyModel();
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;

  std::string path() const { return path_.string(); }
  const TinyModelOptions& options() const { return options_; }

 private:
  TinyModelOptions options_;
  std::filesystem::path path_;
};

}  // namespace pmt::model::testing
