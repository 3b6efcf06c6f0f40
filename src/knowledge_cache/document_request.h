// `permutation.documents` of a request: how passages of its domains' documents come before the model.
// Thread-safety: plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pmt::knowledge_cache {

/// kAuto: the server's choice. kPacks: each as it was read by itself. kPacksThenText: so, but the best one, which is
/// read behind them. kText: as part of the prompt.
enum class DocumentUse : std::uint8_t { kAuto, kPacks, kText, kOff, kPacksThenText };  // values are in keys

/// Of so many passages, how many come as packs, from the first: never fewer than are exact (one), unless text is asked
/// for. `automatic`: what kAuto means.
constexpr std::size_t packs_among(std::size_t passages, DocumentUse use, DocumentUse automatic) {
  if (use == DocumentUse::kAuto) use = automatic;
  const std::size_t exact = passages > 0 ? 1 : 0;
  switch (use) {
    case DocumentUse::kPacks:
      return passages;
    case DocumentUse::kPacksThenText:
      return passages > 1 ? passages - 1 : exact;
    case DocumentUse::kAuto:
      return exact;
    default:
      return 0;
  }
}

struct DocumentRequest {
  static constexpr std::string_view kName = "documents";
  DocumentUse attach = DocumentUse::kAuto;
  nlohmann::json key() const { return {{"attach", static_cast<int>(attach)}}; }
  friend bool operator==(const DocumentRequest&, const DocumentRequest&) = default;
};

}  // namespace pmt::knowledge_cache
