// `permutation.unified` of a request: what its caller asks of the pipeline. Read by pipeline/options_reader.h.
// Thread-safety: a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pmt::pipeline {

struct UnifiedRequest {
  static constexpr std::string_view kName = "unified";
  std::optional<bool> basic_kv = {};                       // the response cache
  std::optional<bool> continual_kv = {};                   // knowledge packs
  std::optional<bool> inference_kv = {};                   // compressed keys and values
  std::optional<double> ratio = {};                        // 8, 16, 32 or 64
  std::optional<std::int64_t> rlm_context_threshold = {};  // tokens

  /// All of it: each member can change the answer.
  nlohmann::json key() const;
  friend bool operator==(const UnifiedRequest&, const UnifiedRequest&) = default;
};

}  // namespace pmt::pipeline
