#include "model/architecture.h"

#include <algorithm>
#include <array>

namespace pmt::model {
namespace {

constexpr std::array kArchitectures{
    // Llama 1-3, SmolLM2, Mistral.
    Architecture{.name = "llama"},
    Architecture{.name = "qwen2", .rope_pairs = RopePairs::kHalves, .qkv_bias = true},
    Architecture{.name = "qwen3", .rope_pairs = RopePairs::kHalves, .qk_norm = true},
    Architecture{.name = "qwen3moe", .rope_pairs = RopePairs::kHalves, .qk_norm = true, .experts = true},
    // Gemma 3 (arXiv 2503.19786): five local layers to a global one.
    Architecture{.name = "gemma3",
                 .rope_pairs = RopePairs::kHalves,
                 .activation = Activation::kGelu,
                 .qk_norm = true,
                 .post_norms = true,
                 .scaled_embedding = true,
                 .local_pattern = 6,
                 .local_rope_base = 10000.0F},
};

}  // namespace

const Architecture* find_architecture(std::string_view name) {
  const auto found = std::ranges::find(kArchitectures, name, &Architecture::name);
  return found == kArchitectures.end() ? nullptr : &*found;
}

std::string architecture_names() {
  std::string names;
  for (const Architecture& each : kArchitectures) {
    if (!names.empty()) names += ", ";
    names += each.name;
  }
  return names;
}

}  // namespace pmt::model
