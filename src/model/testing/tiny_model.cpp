#include "model/testing/tiny_model.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>

#include "base/check.h"
#include "model/testing/byte_tokenizer.h"

namespace pmt::model::testing {
namespace {

/// Gathers keys and tensors and writes them.
class Writer {
 public:
  explicit Writer(TinyModelOptions& options)
      : o_(options), gguf_(gguf_init_empty()), context_(ggml_init({std::size_t{32} << 20, nullptr, false})) {}
  ~Writer() {
    ggml_free(context_);
    gguf_free(gguf_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void write(const std::filesystem::path& path) {
    keys();
    tensors();
    if (o_.leave_out_last_tensor) tensors_.pop_back();
    for (const ggml_tensor* tensor : tensors_) gguf_add_tensor(gguf_, tensor);
    CHECK(gguf_write_to_file(gguf_, path.c_str(), false));
  }

 private:
  bool is(const char* architecture) const { return o_.architecture == architecture; }

  void keys() {
    const auto count = [&](const char* key, int value) {
      gguf_set_val_u32(gguf_, (o_.architecture + key).c_str(), static_cast<std::uint32_t>(value));
    };
    gguf_set_val_str(gguf_, "general.architecture", o_.architecture.c_str());
    tokenizer();
    count(".vocab_size", o_.vocabulary);
    count(".block_count", o_.layers);
    count(".embedding_length", o_.hidden);
    count(".feed_forward_length", o_.feed_forward);
    count(".attention.head_count", o_.heads);
    count(".attention.head_count_kv", o_.kv_heads);
    count(".context_length", o_.context_tokens);
    if (o_.head_dim != o_.hidden / o_.heads) {
      count(".attention.key_length", o_.head_dim);
      count(".attention.value_length", o_.head_dim);
    }
    count(".rope.dimension_count", o_.head_dim);
    if (is("qwen3moe")) {
      count(".expert_count", o_.experts);
      count(".expert_used_count", 2);
      count(".expert_feed_forward_length", o_.feed_forward);
    }
    if (is("gemma3")) {
      count(".attention.sliding_window", o_.window);
      count(".attention.sliding_window_pattern", o_.layers);
    }
    gguf_set_val_f32(gguf_, (o_.architecture + ".rope.freq_base").c_str(), 5000.0F);
    gguf_set_val_f32(gguf_, (o_.architecture + ".attention.layer_norm_rms_epsilon").c_str(), 1e-5F);
  }

  void tokenizer() {
    if (!o_.tokenizer) return gguf_set_val_str(gguf_, "tokenizer.ggml.model", "no_vocab");
    o_.vocabulary = add_byte_tokenizer(gguf_);
  }

  void add(const std::string& name, int columns, int rows, float mean, float spread,
           ggml_type type = GGML_TYPE_F32) {
    std::normal_distribution<float> normal(mean, spread);
    std::vector<float> values(static_cast<std::size_t>(columns) *
                              static_cast<std::size_t>(std::max(rows, 1)));
    for (float& value : values) value = normal(rng_);
    std::vector<std::byte> blocks;
    if (type != GGML_TYPE_F32) {
      const std::size_t row_bytes = ggml_row_size(type, columns);
      blocks.resize(row_bytes * static_cast<std::size_t>(rows));
      ggml_quantize_chunk(type, values.data(), blocks.data(), 0, rows, columns, nullptr);
      for (int row = 0; o_.dequantised && row < rows; ++row) {
        ggml_get_type_traits(type)->to_float(blocks.data() + row_bytes * static_cast<std::size_t>(row),
                                             values.data() + std::ptrdiff_t{row} * columns, columns);
      }
    }
    const bool plain = blocks.empty() || o_.dequantised;
    const ggml_type written = plain ? GGML_TYPE_F32 : type;
    ggml_tensor* tensor = nullptr;
    if (name.find("_exps.") != std::string::npos) {
      tensor = ggml_new_tensor_3d(context_, written, columns, rows / o_.experts, o_.experts);
    } else {
      tensor = rows > 0 ? ggml_new_tensor_2d(context_, written, columns, rows)
                        : ggml_new_tensor_1d(context_, written, columns);
    }
    ggml_set_name(tensor, name.c_str());
    const void* from = values.data();
    if (!plain) from = blocks.data();
    std::memcpy(tensor->data, from, ggml_nbytes(tensor));
    tensors_.push_back(tensor);
  }
  void matrix(const std::string& name, int columns, int rows) {
    add(name, columns, rows, 0, 2.0F / std::sqrt(static_cast<float>(columns)), o_.weights);
  }
  void norm(const std::string& name, int length) { add(name, length, 0, 1.0F, 0.3F); }

  void tensors() {
    matrix("token_embd.weight", o_.hidden, o_.vocabulary);
    norm("output_norm.weight", o_.hidden);
    if (!is("gemma3") && !o_.tied) matrix("output.weight", o_.hidden, o_.vocabulary);
    for (int i = 0; i < o_.layers; ++i) block(fmt::format("blk.{}.", i));
  }

  void block(const std::string& prefix) {
    const int q = o_.heads * o_.head_dim;
    const int kv = o_.kv_heads * o_.head_dim;
    norm(prefix + "attn_norm.weight", o_.hidden);
    matrix(prefix + "attn_q.weight", o_.hidden, q);
    matrix(prefix + "attn_k.weight", o_.hidden, kv);
    matrix(prefix + "attn_v.weight", o_.hidden, kv);
    matrix(prefix + "attn_output.weight", q, o_.hidden);
    norm(prefix + "ffn_norm.weight", o_.hidden);
    feed_forward(prefix);
    if (is("qwen2")) {
      add(prefix + "attn_q.bias", q, 0, 0, 1.0F);
      add(prefix + "attn_v.bias", kv, 0, 0, 1.0F);
      add(prefix + "attn_k.bias", kv, 0, 0, 1.0F);
    }
    if (is("gemma3")) {
      norm(prefix + "post_attention_norm.weight", o_.hidden);
      norm(prefix + "post_ffw_norm.weight", o_.hidden);
    }
    if (is("qwen3") || is("qwen3moe") || is("gemma3")) {
      norm(prefix + "attn_q_norm.weight", o_.head_dim);
      norm(prefix + "attn_k_norm.weight", o_.head_dim);
    }
  }

  void feed_forward(const std::string& prefix) {
    const bool many = is("qwen3moe");
    const int times = many ? o_.experts : 1;
    const char* suffix = many ? "_exps.weight" : ".weight";
    if (many)
      add(prefix + "ffn_gate_inp.weight", o_.hidden, o_.experts, 0,
          2.0F / std::sqrt(static_cast<float>(o_.hidden)));
    matrix(prefix + "ffn_gate" + suffix, o_.hidden, o_.feed_forward * times);
    matrix(prefix + "ffn_up" + suffix, o_.hidden, o_.feed_forward * times);
    matrix(prefix + "ffn_down" + suffix, o_.feed_forward, o_.hidden * times);
  }

  TinyModelOptions& o_;
  std::mt19937 rng_{17};
  gguf_context* gguf_;
  ggml_context* context_;
  std::vector<ggml_tensor*> tensors_;
};

}  // namespace

TinyModel::TinyModel(TinyModelOptions options) : options_(std::move(options)) {
  static std::atomic<int> made{0};
  path_ = std::filesystem::temp_directory_path() /
          fmt::format("permutation-tiny-{}-{}-{}.gguf", options_.architecture, getpid(), made++);
  Writer(options_).write(path_);
}

TinyModel::~TinyModel() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace pmt::model::testing
