// Every architecture that we run, as a tiny model of random weights, against libllama on the same file.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>
#include <gtest/gtest.h>
#include <llama.h>

#include "model/llama_log.h"
#include "model/transformer.h"

namespace pmt::model {
namespace {

constexpr int kLayers = 2, kHidden = 64, kHeads = 4, kKvHeads = 2, kFeedForward = 96, kVocabulary = 80;
constexpr int kTokens = 150;  // more than four pages
constexpr int kWindow = 20;   // of gemma3's local layers: pages fall out of it

/// Writes a model file of random f32 weights.
class TinyModel {
 public:
  TinyModel(const std::string& architecture, int head_dim, bool leave_out_last = false)
      : architecture_(architecture),
        head_dim_(head_dim),
        path_(std::filesystem::temp_directory_path() /
              fmt::format("permutation-{}-{}-{}.gguf", architecture, head_dim, getpid())) {
    gguf_context* gguf = gguf_init_empty();
    context_ = ggml_init({std::size_t{8} << 20, nullptr, false});
    keys(gguf);
    tensors();
    if (leave_out_last) tensors_.pop_back();
    for (ggml_tensor* tensor : tensors_) gguf_add_tensor(gguf, tensor);
    gguf_write_to_file(gguf, path_.c_str(), false);
    ggml_free(context_);
    gguf_free(gguf);
  }
  ~TinyModel() { std::filesystem::remove(path_); }
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;

  std::string path() const { return path_.string(); }

 private:
  void keys(gguf_context* gguf) {
    const auto count = [&](const char* key, int value) {
      gguf_set_val_u32(gguf, (architecture_ + key).c_str(), static_cast<std::uint32_t>(value));
    };
    gguf_set_val_str(gguf, "general.architecture", architecture_.c_str());
    gguf_set_val_str(gguf, "tokenizer.ggml.model", "no_vocab");
    count(".vocab_size", kVocabulary);
    count(".block_count", kLayers);
    count(".embedding_length", kHidden);
    count(".feed_forward_length", kFeedForward);
    count(".attention.head_count", kHeads);
    count(".attention.head_count_kv", kKvHeads);
    count(".context_length", 256);
    if (head_dim_ != kHidden / kHeads) {
      count(".attention.key_length", head_dim_);
      count(".attention.value_length", head_dim_);
    }
    count(".rope.dimension_count", head_dim_);
    if (architecture_ == "gemma3") {
      count(".attention.sliding_window", kWindow);
      count(".attention.sliding_window_pattern", kLayers);  // the last layer is global
    }
    gguf_set_val_f32(gguf, (architecture_ + ".rope.freq_base").c_str(), 5000.0F);
    gguf_set_val_f32(gguf, (architecture_ + ".attention.layer_norm_rms_epsilon").c_str(), 1e-5F);
  }

  void add(const std::string& name, int columns, int rows, float mean, float spread) {
    ggml_tensor* tensor = rows > 0 ? ggml_new_tensor_2d(context_, GGML_TYPE_F32, columns, rows)
                                   : ggml_new_tensor_1d(context_, GGML_TYPE_F32, columns);
    ggml_set_name(tensor, name.c_str());
    std::normal_distribution<float> normal(mean, spread);
    auto* data = static_cast<float*>(tensor->data);
    for (std::int64_t i = 0; i < ggml_nelements(tensor); ++i) data[i] = normal(rng_);
    tensors_.push_back(tensor);
  }
  void matrix(const std::string& name, int columns, int rows) {
    add(name, columns, rows, 0, 2.0F / std::sqrt(static_cast<float>(columns)));
  }
  void norm(const std::string& name, int length) { add(name, length, 0, 1.0F, 0.3F); }

  void tensors() {
    const int q = kHeads * head_dim_;
    const int kv = kKvHeads * head_dim_;
    matrix("token_embd.weight", kHidden, kVocabulary);
    norm("output_norm.weight", kHidden);
    if (architecture_ != "gemma3") matrix("output.weight", kHidden, kVocabulary);
    for (int i = 0; i < kLayers; ++i) {
      const std::string block = fmt::format("blk.{}.", i);
      norm(block + "attn_norm.weight", kHidden);
      matrix(block + "attn_q.weight", kHidden, q);
      matrix(block + "attn_k.weight", kHidden, kv);
      matrix(block + "attn_v.weight", kHidden, kv);
      matrix(block + "attn_output.weight", q, kHidden);
      norm(block + "ffn_norm.weight", kHidden);
      matrix(block + "ffn_gate.weight", kHidden, kFeedForward);
      matrix(block + "ffn_up.weight", kHidden, kFeedForward);
      matrix(block + "ffn_down.weight", kFeedForward, kHidden);
      if (architecture_ == "qwen2") {
        add(block + "attn_q.bias", q, 0, 0, 1.0F);
        add(block + "attn_v.bias", kv, 0, 0, 1.0F);
        add(block + "attn_k.bias", kv, 0, 0, 1.0F);
      }
      if (architecture_ == "gemma3") {
        norm(block + "post_attention_norm.weight", kHidden);
        norm(block + "post_ffw_norm.weight", kHidden);
      }
      if (architecture_ == "qwen3" || architecture_ == "gemma3") {
        norm(block + "attn_q_norm.weight", head_dim_);
        norm(block + "attn_k_norm.weight", head_dim_);
      }
    }
  }

  std::string architecture_;
  int head_dim_;
  std::filesystem::path path_;
  std::mt19937 rng_{17};
  ggml_context* context_ = nullptr;
  std::vector<ggml_tensor*> tensors_;
};

std::vector<std::int32_t> some_tokens() {
  std::mt19937 rng(5);
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < kTokens; ++i) tokens.push_back(static_cast<std::int32_t>(rng() % kVocabulary));
  return tokens;
}

/// Logits of every token, [tokens, vocabulary]; keys and values in f16, as ours are.
std::vector<float> libllama_logits(const std::string& path, std::vector<std::int32_t> tokens) {
  init_llama();
  llama_model* model = llama_model_load_from_file(path.c_str(), llama_model_default_params());
  EXPECT_NE(model, nullptr);
  if (model == nullptr) return {};
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 256;
  params.n_threads = params.n_threads_batch = 1;
  llama_context* context = llama_init_from_model(model, params);
  const auto count = static_cast<std::int32_t>(tokens.size());
  llama_batch batch = llama_batch_init(count, 0, 1);
  for (std::int32_t i = 0; i < count; ++i) {
    batch.token[i] = tokens[static_cast<std::size_t>(i)];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = count;
  EXPECT_EQ(0, llama_decode(context, batch));
  const float* logits = llama_get_logits(context);
  std::vector<float> out(logits, logits + tokens.size() * kVocabulary);
  llama_batch_free(batch);
  llama_free(context);
  llama_model_free(model);
  return out;
}

/// The same by ours, in chunks of `chunk` tokens.
std::vector<float> our_logits(const std::string& path, const std::vector<std::int32_t>& tokens, int chunk) {
  auto transformer = Transformer::load(path, 2, {});
  EXPECT_TRUE(transformer) << transformer.error().message;
  if (!transformer) return {};
  auto pool = std::move(*(*transformer)->make_pool(4U << 20));
  kv_cache::SequenceKv sequence(*pool, (*transformer)->hparams().kv_shape());
  std::vector<float> out;
  for (std::size_t at = 0; at < tokens.size(); at += static_cast<std::size_t>(chunk)) {
    const std::size_t count = std::min<std::size_t>(static_cast<std::size_t>(chunk), tokens.size() - at);
    BatchSpan span{&sequence, std::span(tokens).subspan(at, count), {}};
    for (std::size_t i = 0; i < count; ++i) span.output_rows.push_back(static_cast<int>(i));
    const auto logits = (*transformer)->forward(*pool, std::span(&span, 1));
    EXPECT_TRUE(logits);
    out.insert(out.end(), logits->begin(), logits->end());
    sequence.drop_unseen();
  }
  const std::size_t most = kv_cache::SequenceKv::pages_at_most(sequence.shape(), sequence.tokens(), chunk);
  EXPECT_LE(sequence.pages(), most);
  return out;
}

struct Case {
  const char* architecture;
  int head_dim;
};

class ArchitectureTest : public testing::TestWithParam<Case> {};

TEST_P(ArchitectureTest, GivesLibllamasLogits) {
  const TinyModel model(GetParam().architecture, GetParam().head_dim);
  const auto tokens = some_tokens();
  const auto want = libllama_logits(model.path(), tokens);
  ASSERT_EQ(want.size(), tokens.size() * kVocabulary);
  double power = 0;
  for (const float x : want) power += double{x} * x;
  const double rms = std::sqrt(power / static_cast<double>(want.size()));
  for (const int chunk : {kTokens, 9}) {
    const auto got = our_logits(model.path(), tokens, chunk);
    ASSERT_EQ(got.size(), want.size());
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::fabs(double{got[i]} - want[i]));
    EXPECT_LT(worst, 0.03 * rms) << "in chunks of " << chunk;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ArchitectureTest,
                         testing::Values(Case{"llama", 16}, Case{"llama", 32}, Case{"qwen2", 16},
                                         Case{"qwen3", 16}, Case{"qwen3", 48}, Case{"gemma3", 16},
                                         Case{"gemma3", 48}),
                         [](const auto& each) {
                           return fmt::format("{}_{}", each.param.architecture, each.param.head_dim);
                         });

TEST(Architectures, AMissingTensorIsNamed) {
  const TinyModel biased("qwen2", 16, true);
  const auto loaded = Transformer::load(biased.path(), 1, {});
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("blk.1.attn_k.bias"), std::string::npos) << loaded.error().message;
}

TEST(Architectures, AnotherIsRefusedWithTheListOfOurs) {
  const TinyModel other("gpt2", 16);
  const auto loaded = Transformer::load(other.path(), 1, {});
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("supported: llama, qwen2, qwen3, gemma3"), std::string::npos);
}

}  // namespace
}  // namespace pmt::model
