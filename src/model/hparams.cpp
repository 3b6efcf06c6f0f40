#include "model/hparams.h"

#include <cmath>

#include <fmt/format.h>

#include "kernels/attention.h"

namespace pmt::model {
namespace {

constexpr std::int64_t kDimensionMax = 1 << 24;  // beyond any real model: a damaged file
constexpr std::int64_t kExpertsMax = 4096;       // alike

base::Status check_supported(const GgufFile& file, const std::string& arch, const Hparams& h) {
  const auto unsupported = [&](const std::string& what) {
    return base::invalid(fmt::format("{}: {} is not supported", file.path(), what), "model");
  };
  if (h.experts == 0 && file.integer_or(arch + ".expert_count", 0) > 0)
    return unsupported("a mixture of experts");
  if (file.has(arch + ".rope.scaling.type")) {
    TRY_ASSIGN(const std::string scaling, file.text(arch + ".rope.scaling.type"));
    if (scaling != "none") return unsupported(fmt::format("RoPE scaling '{}'", scaling));
  }
  if (file.real_or(arch + ".final_logit_softcapping", 0) != 0) return unsupported("soft-capping of logits");
  if (h.rope_dims != h.head_dim) return unsupported("RoPE over a part of the head");
  if (h.head_dim % 16 != 0 || h.head_dim > kernels::kHeadDimMax) {
    return unsupported(fmt::format("a head of {} dimensions (multiples of 16 up to {} are)", h.head_dim,
                                   kernels::kHeadDimMax));
  }
  if (h.group() > kernels::kRowsMax) return unsupported(fmt::format("{} query heads a KV head", h.group()));
  return {};
}

/// Which layers are local, and what they see.
base::Status read_window(const GgufFile& file, const std::string& arch, Hparams& h) {
  const std::string key = arch + ".attention.sliding_window";
  const std::int64_t window = file.integer_or(key, 0);
  if (window == 0 || h.architecture.local_pattern == 0) return {};
  if (window < 0 || window > kDimensionMax || h.layers > static_cast<int>(kv_cache::kLayersMax)) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: {} is {}, with {} layers", file.path(), key, window, h.layers)};
  }
  h.window = static_cast<int>(window);
  h.local_rope_base = file.real_or(arch + ".rope.freq_base_swa", h.architecture.local_rope_base);
  const std::string pattern_key = key + "_pattern";
  const auto layers = file.booleans(pattern_key);
  if (layers && static_cast<int>(layers->size()) != h.layers) {
    return base::Error{base::Code::kCorrupt, fmt::format("{}: {} names {} layers of {}", file.path(),
                                                         pattern_key, layers->size(), h.layers)};
  }
  const std::int64_t pattern = file.integer_or(pattern_key, h.architecture.local_pattern);
  if (pattern < 0) {
    return base::Error{base::Code::kCorrupt, fmt::format("{}: {} is {}", file.path(), pattern_key, pattern)};
  }
  for (int i = 0; i < h.layers; ++i) {
    const auto layer = static_cast<std::size_t>(i);
    h.local[layer] = layers ? (*layers)[layer] : pattern == 0 || i % pattern < pattern - 1;
  }
  return {};
}

}  // namespace

namespace {

/// How many experts there are, how many of them a token has, and how wide each is.
base::Status read_experts(const GgufFile& file, const std::string& arch, Hparams& h) {
  if (!h.architecture.experts) return {};
  TRY_ASSIGN(const std::int64_t count, file.integer(arch + ".expert_count"));
  TRY_ASSIGN(const std::int64_t used, file.integer(arch + ".expert_used_count"));
  if (count < 1 || count > kExpertsMax || used < 1 || used > count) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: {} of {} experts for a token", file.path(), used, count)};
  }
  const std::int64_t wide = file.integer_or(arch + ".expert_feed_forward_length", h.feed_forward / used);
  if (wide < 1 || wide > kDimensionMax) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: {}.expert_feed_forward_length is {}", file.path(), arch, wide)};
  }
  const float scale = file.real_or(arch + ".expert_weights_scale", 0);
  if (!std::isfinite(scale)) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: {}.expert_weights_scale is no number", file.path(), arch)};
  }
  h.experts = static_cast<int>(count);
  h.experts_used = static_cast<int>(used);
  h.feed_forward = static_cast<int>(wide);
  h.expert_scale = scale == 0 ? 1 : scale;
  return {};
}

}  // namespace

base::Result<Hparams> read_hparams(const GgufFile& file) {
  Hparams h;
  TRY_ASSIGN(const std::string arch, file.text("general.architecture"));
  const Architecture* known = find_architecture(arch);
  if (known == nullptr) {
    return base::invalid(fmt::format("{}: architecture '{}' is not supported; supported: {}", file.path(),
                                     arch, architecture_names()),
                         "model");
  }
  h.architecture = *known;
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
  h.kv_heads = h.heads;
  if (file.has(arch + ".attention.head_count_kv")) TRY(read(".attention.head_count_kv", h.kv_heads));
  const bool own_head_dim = file.has(arch + ".attention.key_length");
  if (h.kv_heads < 1 || h.heads % h.kv_heads != 0 || (!own_head_dim && h.hidden % h.heads != 0)) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{}: {} heads, {} KV heads and {} hidden don't divide", file.path(),
                                   h.heads, h.kv_heads, h.hidden)};
  }
  h.head_dim = h.hidden / h.heads;
  if (own_head_dim) TRY(read(".attention.key_length", h.head_dim));
  if (file.integer_or(arch + ".attention.value_length", h.head_dim) != h.head_dim) {
    return base::invalid(fmt::format("{}: values of another length than keys are not supported", file.path()),
                         "model");
  }
  h.rope_dims = h.head_dim;
  if (file.has(arch + ".rope.dimension_count")) TRY(read(".rope.dimension_count", h.rope_dims));
  h.rope_base = file.real_or(arch + ".rope.freq_base", 10000.0F);
  TRY_ASSIGN(h.rms_epsilon, file.real(arch + ".attention.layer_norm_rms_epsilon"));
  TRY(read_window(file, arch, h));
  TRY(read_experts(file, arch, h));
  // Gemma 3 27B alone divides by another root than its head's.
  const bool gemma_27b = arch == "gemma3" && h.layers == 62;
  h.attention_scale = 1.0F / std::sqrt(static_cast<float>(gemma_27b ? h.hidden / h.heads : h.head_dim));
  if (!std::isfinite(h.rope_base) || h.rope_base <= 0 || !std::isfinite(h.rms_epsilon) || h.rms_epsilon < 0 ||
      !std::isfinite(h.local_rope_base)) {
    return base::Error{
        base::Code::kCorrupt,
        fmt::format("{}: a rotary base or the norms' epsilon is no sensible number", file.path())};
  }
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
