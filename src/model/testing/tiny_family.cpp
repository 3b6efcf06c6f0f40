#include "model/testing/tiny_family.h"

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <ggml-backend.h>
#include <ggml.h>
#include <gguf.h>
#include <llama.h>

#include "base/check.h"
#include "model/llama_log.h"
#include "model/testing/byte_tokenizer.h"

namespace pmt::model::testing {
namespace {

/// A superset of what the architectures want: each reads its own. The sizes are those of libllama's own test of all
/// architectures (tests/test-llama-archs.cpp).
class Keys {
 public:
  Keys(const TinyFamilyOptions& options, gguf_context* gguf) : o_(options), gguf_(gguf) {}

  void write() {
    gguf_set_val_str(gguf_, "general.architecture", o_.architecture.c_str());
    count("vocab_size", add_byte_tokenizer(gguf_, o_.tokenizer));
    shape();
    attention();
    if (o_.latent) latent();
    if (o_.experts) experts();
    states();
    if (o_.pooling >= 0) count("pooling_type", o_.pooling);
  }

 private:
  void count(const char* key, int value) {
    gguf_set_val_u32(gguf_, name(key).c_str(), static_cast<std::uint32_t>(value));
  }
  void real(const char* key, float value) { gguf_set_val_f32(gguf_, name(key).c_str(), value); }
  void counts(const char* key, const std::vector<std::uint32_t>& values) {
    gguf_set_arr_data(gguf_, name(key).c_str(), GGUF_TYPE_UINT32, values.data(), values.size());
  }
  std::string name(const char* key) const { return o_.architecture + "." + key; }

  int hidden() const { return o_.latent ? 128 : 256; }
  int heads() const { return o_.latent ? 1 : 2; }
  int feed_forward() const { return o_.latent ? 192 : 384; }

  void shape() {
    count("context_length", o_.context_tokens);
    count("embedding_length", hidden());
    count("features_length", hidden());
    count("block_count", o_.layers);
    count("leading_dense_block_count", 1);
    count("feed_forward_length", feed_forward());
    gguf_set_val_bool(gguf_, name("use_parallel_residual").c_str(), false);
    real("logit_scale", 1.0F);
    real("residual_scale", 1.0F);
    count("full_attention_interval", 2);
  }
  void attention() {
    const auto head = static_cast<std::uint32_t>(hidden() / heads());
    if (o_.states_between) {
      std::vector<std::uint32_t> each(static_cast<std::size_t>(o_.layers),
                                      static_cast<std::uint32_t>(heads()));
      each[1] = 0;
      counts("attention.head_count", each);
      counts("attention.head_count_kv", each);
    } else {
      count("attention.head_count", heads());
      count("attention.head_count_kv", heads());
    }
    real("attention.max_alibi_bias", 8.0F);
    real("attention.clamp_kqv", 1.0F);
    real("attention.layer_norm_epsilon", 1e-5F);
    real("attention.layer_norm_rms_epsilon", 1e-5F);
    real("attention.group_norm_epsilon", 1e-5F);
    count("attention.group_norm_groups", 8);
    count("attention.relative_buckets_count", 8);
    count("attention.sliding_window", o_.context_tokens / 8);
    count("attention.sliding_window_pattern", 2);
    counts("rope.dimension_sections", {head / 4, head / 4, head / 4, head / 4});
  }
  void latent() {
    count("attention.q_lora_rank", 512);
    count("attention.kv_lora_rank", 512);
    count("attention.key_length", 576);
    count("attention.value_length", 512);
    count("attention.key_length_mla", 192);
    count("attention.value_length_mla", 128);
    count("rope.dimension_count", 64);
  }
  void experts() {
    count("expert_feed_forward_length", feed_forward());
    count("expert_shared_feed_forward_length", feed_forward() / 2);
    count("interleave_moe_layer_step", 2);
    count("expert_count", 2);
    count("expert_used_count", 2);
    count("expert_shared_count", 1);
    count("expert_gating_func", 2);
    real("expert_group_scale", 1.0F);
    count("experts_per_group", 1);
  }
  void states() {
    count("ssm.inner_size", o_.architecture.starts_with("qwen3") ? 256 : 2 * hidden());
    count("ssm.conv_kernel", 4);
    count("ssm.state_size", 128);
    count("ssm.time_step_rank", heads());
    count("ssm.group_count", 2);
    count("wkv.head_size", hidden() / heads());
    count("time_mix_extra_dim", 64);
    count("time_decay_extra_dim", 128);
    count("shortconv.l_cache", 3);
  }

  const TinyFamilyOptions& o_;
  gguf_context* gguf_;
};

/// Random weights, given to libllama and kept for the file.
class Weights {
 public:
  Weights() : context_(ggml_init({std::size_t{64} << 20, nullptr, false})) {}
  ~Weights() { ggml_free(context_); }
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  static void fill(ggml_tensor* tensor, void* weights) { static_cast<Weights*>(weights)->fill(tensor); }
  void add_to(gguf_context* gguf) const {
    for (const ggml_tensor* tensor : tensors_) gguf_add_tensor(gguf, tensor);
  }

 private:
  void fill(ggml_tensor* tensor) {
    CHECK(tensor->type == GGML_TYPE_F32);
    const std::string_view name = tensor->name;
    const bool norm = name.find("norm") != std::string_view::npos && name.ends_with("weight");
    const bool decay = name.find("ssm_a") != std::string_view::npos;  // a state's: it must be negative
    std::normal_distribution<float> normal(norm ? 1.0F : 0.0F, 0.1F);
    std::vector<float> values(static_cast<std::size_t>(ggml_nelements(tensor)));
    for (float& value : values) value = decay ? -std::fabs(normal(rng_)) : normal(rng_);
    ggml_backend_tensor_set(tensor, values.data(), 0, ggml_nbytes(tensor));
    for (const ggml_tensor* kept : tensors_) {
      if (name == kept->name) return;  // the embedding's, which serves as the output matrix too
    }
    ggml_tensor* copy = ggml_new_tensor(context_, GGML_TYPE_F32, ggml_n_dims(tensor), tensor->ne);
    ggml_set_name(copy, tensor->name);
    std::memcpy(copy->data, values.data(), ggml_nbytes(copy));
    tensors_.push_back(copy);
  }

  std::mt19937 rng_{17};
  ggml_context* context_;
  std::vector<ggml_tensor*> tensors_;
};

}  // namespace

TinyFamily::TinyFamily(const TinyFamilyOptions& options) {
  static std::atomic<int> made{0};
  path_ = std::filesystem::temp_directory_path() /
          fmt::format("permutation-family-{}-{}-{}.gguf", options.architecture, getpid(), made++);
  init_llama();
  gguf_context* gguf = gguf_init_empty();
  Keys(options, gguf).write();
  Weights weights;
  llama_model* model =
      llama_model_init_from_user(gguf, Weights::fill, &weights, llama_model_default_params());
  CHECK(model != nullptr);
  llama_model_free(model);
  weights.add_to(gguf);
  CHECK(gguf_write_to_file(gguf, path_.c_str(), false));
  gguf_free(gguf);
}

TinyFamily::~TinyFamily() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace pmt::model::testing
