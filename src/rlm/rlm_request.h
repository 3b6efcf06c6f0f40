// `permutation.rlm` of a request: what its caller asks of RecursiveLanguageModel. Read by rlm/options_reader.h.
// Thread-safety: a value; pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llm/request.h"
#include "rlm/custom_tool.h"

namespace pmt::rlm {

struct RlmRequest {
  static constexpr std::string_view kName = "rlm";
  std::vector<std::string> context = {};  // empty: the messages say
  std::optional<int> depth_max = {};
  std::optional<int> iterations_max = {};
  std::optional<bool> kv_compression = {};
  std::optional<bool> speculation = {};
  CustomTools tools = {};
  std::optional<CustomTools> sub_tools = {};  // unset: the same
  std::string session = {};                   // empty: none

  /// All of it: each member can change the answer. Cost: a copy of the context.
  nlohmann::json key() const;
  friend bool operator==(const RlmRequest&, const RlmRequest&) = default;
};

/// The texts that the caller gave beside the messages. They live as long as the request's options.
std::span<const std::string> given_context(const llm::Request& request);

/// Why only rlm can answer it, whatever its length: tools for a program, or a session. Null: others can.
const char* only_rlm(const llm::Request& request);
/// Whether its answer depends on requests before it.
bool is_in_session(const llm::Request& request);

}  // namespace pmt::rlm
