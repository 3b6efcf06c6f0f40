// What a cached value really holds in memory, heap blocks included: the cache's byte limit counts this.
#pragma once

#include <cstddef>

#include "response_cache/response_cache.h"

namespace pmt::response_cache {

/// What the store keeps beside an entry: its key, lifetime and place in the eviction's order.
inline constexpr std::size_t kNodeBytes = 128;

/// Bytes on the heap behind `value`, not the 16 B of the json object itself. Iterative: any depth is safe.
std::size_t heap_bytes(const nlohmann::json& value);
std::size_t heap_bytes(const llm::Event& event);

/// The whole entry with its place in the table and the LRU list.
std::size_t entry_bytes(const Entry& entry);

}  // namespace pmt::response_cache
