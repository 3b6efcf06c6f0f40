// Passages of documents that a request is shown before its last message: set behind the response cache, as what was
// recalled is (llm::Recall), by who finds them, and read by who writes the prompt. Their tokens are cut apart, so that
// what was read of one serves wherever it is shown again.
// Thread-safety: plain data.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace pmt::llm {

struct ShownPassages {
  static constexpr std::string_view kName = "shown_passages";
  std::vector<std::string> texts = {};  // the best last
  /// Of the first so many, what was read of each by itself may serve: one is exact, several are lossy.
  std::size_t packs = 0;
  bool reads_only = false;  // the prompt ends with them: nothing is asked yet
  nlohmann::json key() const { return {{"texts", texts}, {"packs", packs}, {"reads_only", reads_only}}; }
  friend bool operator==(const ShownPassages&, const ShownPassages&) = default;
};

/// KvReport::prefix_source of an answer whose passages came as packs.
inline constexpr std::string_view kFromPacks = "packs";

}  // namespace pmt::llm
