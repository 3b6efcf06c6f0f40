// Why did it miss? Most often because something beside the question differs from the time before: a system
// prompt with a date in it, another temperature, another model. This remembers, for requests that were put
// into the cache, a hash of each part, and names the parts in which a request differs from the nearest one of
// the same tenant, namespace and question. Of numbers and names it says both values; of a system prompt, of which no
// text is kept, how far the two are alike.
//
// A fixed table of 2,048 sets of 4: what is older is forgotten, whether or not its entry still lives.
// Thread-safety: any thread may call anything. Cost: 1.7 MB; a hash of each part of the request, on a miss.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
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

  /// What can be said of a part, beside that it differs.
  struct Said {
    std::string model;
    double temperature = 1, top_p = 1;
    std::optional<std::int64_t> seed = {}, max_tokens = {};
    std::array<std::uint32_t, 12>
        system_beginnings{};  // hashes of its first 8, 16, ... 16384 bytes; 0: shorter
  };
  Said said = {};
};

RequestParts parts_of(const llm::Request& request, std::string_view model, const nlohmann::json& versions);

class NearMisses {
 public:
  void add(const RequestParts& parts);
  /// E.g. "the nearest request that was cached differs in: temperature and other sampling (temperature 0 there, 0.7
  /// here)"; never empty.
  std::string explain(const RequestParts& parts) const;

 private:
  static constexpr std::size_t kSets = 2048, kWays = 4;
  mutable std::mutex mutex_;
  std::vector<std::array<RequestParts, kWays>> sets_ = std::vector<std::array<RequestParts, kWays>>(kSets);
};

}  // namespace pmt::response_cache
