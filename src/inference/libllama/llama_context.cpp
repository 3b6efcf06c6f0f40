#include "inference/libllama/llama_context.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "base/check.h"
#include "inference/libllama/llama_bytes.h"
#include "model/llama_log.h"

namespace pmt::inference {
namespace {

ggml_type ggml_type_of(CellType type) {
  switch (type) {
    case CellType::kF16:
      return GGML_TYPE_F16;
    case CellType::kQ8_0:
      return GGML_TYPE_Q8_0;
    case CellType::kQ4_0:
      break;
  }
  return GGML_TYPE_Q4_0;
}

}  // namespace

llama_context_params params_of(const LlamaContextOptions& options) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(options.cells);
  params.n_batch = params.n_ubatch = static_cast<std::uint32_t>(options.batch_tokens);
  params.n_seq_max = static_cast<std::uint32_t>(options.sequences);
  // libllama keeps room for a row of every sequence, whatever a batch wants.
  params.n_outputs_max = static_cast<std::uint32_t>(std::max(options.rows, options.sequences));
  params.n_outputs_max_per_seq = 0;
  params.n_threads = params.n_threads_batch = options.threads;
  params.type_k = params.type_v = ggml_type_of(options.type);
  params.kv_unified = true;
  params.no_perf = true;
  return params;
}

base::Result<std::unique_ptr<LlamaContext>> LlamaContext::create(llama_model* model,
                                                                 const LlamaContextOptions& options) {
  const model::LlamaLogCapture log;
  llama_context* const context = llama_init_from_model(model, params_of(options));
  if (context == nullptr) {
    return base::invalid(
        fmt::format("libllama can't keep its keys and values as {}: {}", name_of(options.type), log.reason()),
        "model");
  }
  return std::unique_ptr<LlamaContext>(new LlamaContext(options, context));
}

LlamaContext::LlamaContext(const LlamaContextOptions& options, llama_context* context)
    : options_(options),
      context_(context),
      memory_bytes_(bytes_of(context).memory),
      vocabulary_(
          static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(context))))),
      batch_(llama_batch_init(options.batch_tokens, 0, 1)) {}

LlamaContext::~LlamaContext() {
  llama_batch_free(batch_);
}

bool LlamaContext::decode(std::span<const LlamaSpan> batch, int threads) {
  std::int32_t at = 0;
  output_tokens_.clear();
  for (const LlamaSpan& span : batch) {
    CHECK(at + static_cast<int>(span.tokens.size()) <= options_.batch_tokens);
    const std::int32_t first = at;
    for (std::size_t i = 0; i < span.tokens.size(); ++i, ++at) {
      batch_.token[at] = span.tokens[i];
      batch_.pos[at] = span.position + static_cast<llama_pos>(i);
      batch_.n_seq_id[at] = 1;
      batch_.seq_id[at][0] = span.sequence;
      batch_.logits[at] = 0;
    }
    for (const int row : span.output_rows) {
      batch_.logits[first + row] = 1;
      output_tokens_.push_back(first + row);
    }
  }
  CHECK(static_cast<int>(output_tokens_.size()) <= std::max(options_.rows, options_.sequences));
  batch_.n_tokens = at;
  const model::LlamaLogCapture log;
  llama_set_n_threads(context_.get(), threads, threads);
  const int failed = llama_decode(context_.get(), batch_);
  if (failed == 0) return true;
  if (failed == 1) return false;
  throw std::runtime_error(fmt::format("libllama could not decode {} tokens of {} sequences ({}): {}", at,
                                       batch.size(), failed, log.reason()));
}

std::span<const float> LlamaContext::row(std::size_t index) const {
  const float* const logits = llama_get_logits_ith(context_.get(), output_tokens_[index]);
  if (logits == nullptr) throw std::runtime_error("libllama gave no logits for a row");
  return {logits, vocabulary_};
}

void LlamaContext::share(int from, int to, int tokens) {
  llama_memory_seq_cp(llama_get_memory(context_.get()), from, to, 0, tokens);
}

int LlamaContext::first_held(int sequence) const {
  return std::max(0, llama_memory_seq_pos_min(llama_get_memory(context_.get()), sequence));
}

void LlamaContext::forget(int sequence) {
  llama_memory_seq_rm(llama_get_memory(context_.get()), sequence, -1, -1);
}

}  // namespace pmt::inference
