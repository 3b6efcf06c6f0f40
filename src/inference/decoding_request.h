// `permutation.decoding` of a request: what becomes of the keys and values of what is written (note 0050).
// Thread-safety: plain data.
#pragma once

#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pmt::inference {

struct DecodingRequest {
  static constexpr std::string_view kName = "decoding";
  std::optional<bool> compress = {};  // to `kv.ratio`, as it ages; unset: the model's own setting
  nlohmann::json key() const { return {{"compress", compress.value_or(false)}}; }
  friend bool operator==(const DecodingRequest&, const DecodingRequest&) = default;
};

}  // namespace pmt::inference
