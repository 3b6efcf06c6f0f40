#include "lab/llama_reference.h"

#include <algorithm>

#include <fmt/format.h>
#include <llama.h>

#include "base/check.h"
#include "model/llama_log.h"

namespace pmt::lab {
namespace {

constexpr int kBatchTokens = 512;

}  // namespace

base::Result<std::unique_ptr<LlamaReference>> LlamaReference::load(const std::string& path,
                                                                   ReferenceOptions options) {
  model::init_llama();
  std::unique_ptr<LlamaReference> out(new LlamaReference());
  out->model_ = llama_model_load_from_file(path.c_str(), llama_model_default_params());
  if (out->model_ == nullptr)
    return base::Error{base::Code::kCorrupt, fmt::format("llama.cpp can't load {}", path)};
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(options.context_tokens * options.sequences);
  params.n_seq_max = static_cast<std::uint32_t>(options.sequences);
  params.n_batch = kBatchTokens;
  params.n_ubatch = kBatchTokens;
  params.n_threads = options.threads;
  params.n_threads_batch = options.threads;
  params.flash_attn_type =
      options.flash_attention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  if (options.kv != ReferenceKv::kF16) {
    params.type_k = options.kv == ReferenceKv::kQ8_0 ? GGML_TYPE_Q8_0 : GGML_TYPE_Q4_0;
    params.type_v = params.type_k;
  }
  out->context_ = llama_init_from_model(out->model_, params);
  if (out->context_ == nullptr) return base::Error{base::Code::kInternal, "llama.cpp can't make a context"};
  out->sequences_ = options.sequences;
  out->vocabulary_ = llama_vocab_n_tokens(llama_model_get_vocab(out->model_));
  return out;
}

LlamaReference::~LlamaReference() {
  if (context_ != nullptr) llama_free(context_);
  if (model_ != nullptr) llama_model_free(model_);
}

void LlamaReference::clear() {
  llama_memory_clear(llama_get_memory(context_), true);
  position_ = 0;
}

void LlamaReference::truncate(int tokens) {
  llama_memory_seq_rm(llama_get_memory(context_), 0, tokens, -1);
  position_ = tokens;
}

std::vector<float> LlamaReference::logits_of_all(std::span<const std::int32_t> tokens) {
  std::vector<float> out;
  out.reserve(tokens.size() * static_cast<std::size_t>(vocabulary_));
  llama_batch batch = llama_batch_init(kBatchTokens, 0, 1);
  for (std::size_t at = 0; at < tokens.size(); at += kBatchTokens) {
    const int count = static_cast<int>(std::min<std::size_t>(kBatchTokens, tokens.size() - at));
    batch.n_tokens = count;
    for (int i = 0; i < count; ++i) {
      batch.token[i] = tokens[at + static_cast<std::size_t>(i)];
      batch.pos[i] = position_++;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = 1;
    }
    CHECK(llama_decode(context_, batch) == 0);
    const float* logits = llama_get_logits(context_);
    out.insert(out.end(), logits, logits + static_cast<std::ptrdiff_t>(count) * vocabulary_);
  }
  llama_batch_free(batch);
  return out;
}

std::span<const float> LlamaReference::read(std::span<const std::int32_t> tokens) {
  for (std::size_t at = 0; at < tokens.size(); at += kBatchTokens) {
    const auto chunk = tokens.subspan(at, std::min<std::size_t>(kBatchTokens, tokens.size() - at));
    // llama_batch_get_one takes a mutable pointer that it doesn't write through.
    CHECK(llama_decode(context_, llama_batch_get_one(const_cast<std::int32_t*>(chunk.data()),
                                                     static_cast<std::int32_t>(chunk.size()))) == 0);
  }
  position_ += static_cast<int>(tokens.size());
  llama_synchronize(context_);
  return {llama_get_logits_ith(context_, -1), static_cast<std::size_t>(vocabulary_)};
}

void LlamaReference::copy_to_all() {
  for (int i = 1; i < sequences_; ++i) llama_memory_seq_cp(llama_get_memory(context_), 0, i, -1, -1);
}

void LlamaReference::step_all(std::int32_t token) {
  llama_batch batch = llama_batch_init(sequences_, 0, 1);
  batch.n_tokens = sequences_;
  for (int i = 0; i < sequences_; ++i) {
    batch.token[i] = token;
    batch.pos[i] = position_;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = i;
    batch.logits[i] = 1;
  }
  ++position_;
  CHECK(llama_decode(context_, batch) == 0);
  llama_synchronize(context_);
  llama_batch_free(batch);
}

base::Status write_dequantised(const std::string& from, const std::string& to, int threads) {
  model::init_llama();
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = LLAMA_FTYPE_ALL_F32;
  params.allow_requantize = true;
  params.nthread = threads;
  if (llama_model_quantize(from.c_str(), to.c_str(), &params) != 0) {
    return base::Error{base::Code::kIo, fmt::format("llama.cpp can't write {} as f32 to {}", from, to)};
  }
  return {};
}

}  // namespace pmt::lab
