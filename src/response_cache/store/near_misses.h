// Why did it miss? Most often because something beside the question differs from the time before: a system
// prompt with a date in it, another temperature, another model. This remembers, for requests that were put
// into the cache, a hash of each part, and names the parts in which a request differs from the nearest one of
// the same tenant, namespace and question.
//
// A fixed table of 2,048 sets of 4: what is older is forgotten, whether or not its entry still lives.
// Thread-safety: any thread may call anything. Cost: 400 KB; a hash of each part of the request, on a miss.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "llm/request.h"

namespace pmt::response_cache {

struct RequestParts {
  static constexpr int kCount = 9;
  std::uint64_t question = 0;  // with tenant and namespace: what must be the same for two requests to be near
  std::array<std::uint32_t, kCount> parts{};
};

RequestParts parts_of(const llm::Request& request, std::string_view model, const nlohmann::json& versions);

class NearMisses {
 public:
  void add(const RequestParts& parts);
  /// E.g. "the nearest request differs in: system prompt, temperature"; never empty.
  std::string explain(const RequestParts& parts) const;

 private:
  static constexpr std::size_t kSets = 2048, kWays = 4;
  mutable std::mutex mutex_;
  std::vector<std::array<RequestParts, kWays>> sets_ = std::vector<std::array<RequestParts, kWays>>(kSets);
};

}  // namespace pmt::response_cache
