// How much of a prompt a model has read, for whoever waits for the answer's first token. It travels with a request as
// one of its options, is no part of the request's key, and means nothing to whom it comes too late for: an answer
// from a cache, of another server, or of a computation that another request began.
// Thread-safety: that of its atomics; who reads sees a moment. Cost: an allocation a request that is watched.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pmt::llm {

struct ReadingProgress {
  static constexpr std::string_view kName = "reading_progress";
  struct Counts {
    std::atomic<std::int64_t> tokens{0};  // of the prompt; 0: not known yet
    std::atomic<std::int64_t> read{0};    // of those, those that it had read before and reuses included
  };

  std::shared_ptr<Counts> counts = {};  // null: nobody watches
  nlohmann::json key() const { return nullptr; }
  friend bool operator==(const ReadingProgress&, const ReadingProgress&) = default;
};

}  // namespace pmt::llm
