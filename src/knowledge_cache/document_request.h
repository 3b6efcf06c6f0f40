// `permutation.documents` of a request: how passages of its domains' documents come before the model.
// Thread-safety: plain data.
#pragma once

#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pmt::knowledge_cache {

/// kAuto: the server's choice. kPacks: each as it was read by itself (lossy). kText: as part of the prompt.
enum class DocumentUse : std::uint8_t { kAuto, kPacks, kText, kOff };

struct DocumentRequest {
  static constexpr std::string_view kName = "documents";
  DocumentUse attach = DocumentUse::kAuto;
  nlohmann::json key() const { return {{"attach", static_cast<int>(attach)}}; }
  friend bool operator==(const DocumentRequest&, const DocumentRequest&) = default;
};

}  // namespace pmt::knowledge_cache
