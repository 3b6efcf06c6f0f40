// `permutation.facts` of a request: what is done where wording doesn't tell whether a taught fact answers.
// Thread-safety: plain data.
#pragma once

#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pmt::knowledge_cache {

/// kAuto: the server's choice. kAsk: the model is asked whether the fact's sentence answers (fact_judge.h). kLeave: the
/// model answers as if nothing had been taught.
enum class UnsureUse : std::uint8_t { kAuto, kAsk, kLeave };  // values are in keys

struct FactRequest {
  static constexpr std::string_view kName = "facts";
  UnsureUse unsure = UnsureUse::kAuto;
  nlohmann::json key() const { return {{"unsure", static_cast<int>(unsure)}}; }
  friend bool operator==(const FactRequest&, const FactRequest&) = default;
};

}  // namespace pmt::knowledge_cache
