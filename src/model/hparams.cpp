#include "model/hparams.h"

#include <fmt/format.h>

#include "kernels/attention.h"

namespace pmt::model {
namespace {

constexpr std::int64_t kDimensionMax = 1 << 24;  // beyond any real model: a damaged file

base::Status check_supported(const GgufFile& file, const std::string& arch, const Hparams& h) {
  const auto unsupported = [&](const std::string& what) {
    return base::invalid(fmt::format("{}: {} is not supported", file.path(), what), "model");
  };
  if (file.integer_or(arch + ".expert_count", 0) > 0) return unsupported("a mixture of experts");
  if (file.has(arch + ".rope.scaling.type")) {
    TRY_ASSIGN(const std::string scaling, file.text(arch + ".rope.scaling.type"));
    if (scaling != "none") return unsupported(fmt::format("RoPE scaling '{}'", scaling));
  }
  if (h.rope_dims != h.head_dim) return unsupported("RoPE over a part of the head");
  if (h.head_dim % 16 != 0 || h.head_dim > kernels::kHeadDimMax) {
    return unsupported(fmt::format("a head of {} dimensions (multiples of 16 up to {} are)", h.head_dim,
                                   kernels::kHeadDimMax));
  }
  if (h.group() > kernels::kRowsMax) return unsupported(fmt::format("{} query heads a KV head", h.group()));
  return {};
}

}  // namespace

base::Result<Hparams> read_hparams(const GgufFile& file) {
  Hparams h;
  TRY_ASSIGN(h.architecture, file.text("general.architecture"));
  const std::string& arch = h.architecture;
  if (arch != "llama" && arch != "qwen2" && arch != "qwen3") {
    return base::invalid(fmt::format("{}: architecture '{}' is not supported; supported: llama, qwen2, qwen3",
                                     file.path(), arch),
                         "model");
  }
  h.rope_pairs = arch == "llama" ? RopePairs::kAdjacent : RopePairs::kHalves;
  h.qkv_bias = arch == "qwen2";
  h.qk_norm = arch == "qwen3";
  const auto read = [&](const std::string& key, int& to) -> base::Status {
    TRY_ASSIGN(const std::int64_t value, file.integer(arch + key));
    if (value < 1 || value > kDimensionMax) {
      return base::Error{base::Code::kCorrupt, fmt::format("{}: {}{} is {}", file.path(), arch, key, value)};
    }
    to = static_cast<int>(value);
    return {};
  };
  TRY(read(".block_count", h.layers));
  TRY(read(".embedding_length", h.hidden));
  TRY(read(".feed_forward_length", h.feed_forward));
  TRY(read(".attention.head_count", h.heads));
  TRY(read(".context_length", h.context_tokens));
  h.kv_heads = static_cast<int>(file.integer_or(arch + ".attention.head_count_kv", h.heads));
  const bool own_head_dim = file.has(arch + ".attention.key_length");
  if (h.kv_heads < 1 || h.heads % h.kv_heads != 0 || (!own_head_dim && h.hidden % h.heads != 0)) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: {} heads, {} KV heads and {} hidden don't divide", file.path(),
                                   h.heads, h.kv_heads, h.hidden)};
  }
  h.head_dim = static_cast<int>(file.integer_or(arch + ".attention.key_length", h.hidden / h.heads));
  if (file.integer_or(arch + ".attention.value_length", h.head_dim) != h.head_dim) {
    return base::invalid(fmt::format("{}: values of another length than keys are not supported", file.path()),
                         "model");
  }
  h.rope_dims = static_cast<int>(file.integer_or(arch + ".rope.dimension_count", h.head_dim));
  h.rope_base = file.real_or(arch + ".rope.freq_base", 10000.0F);
  TRY_ASSIGN(h.rms_epsilon, file.real(arch + ".attention.layer_norm_rms_epsilon"));
  const auto embedding = file.find_tensor("token_embd.weight");
  if (!embedding || embedding->columns != h.hidden || embedding->rows < 1 ||
      embedding->rows > kDimensionMax) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: token_embd.weight is missing or has the wrong shape", file.path())};
  }
  h.vocabulary = static_cast<int>(embedding->rows);
  TRY(check_supported(file, arch, h));
  return h;
}

}  // namespace pmt::model
