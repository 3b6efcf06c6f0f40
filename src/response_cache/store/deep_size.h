// What a cached value really holds in memory, heap blocks included: the cache's byte limit counts this.
#pragma once

#include <cstddef>

#include "response_cache/store/entry.h"

namespace pmt::response_cache {

/// The counts that std::make_shared puts before an object.
inline constexpr std::size_t kSharedPtrBytes = 16;

/// Bytes on the heap behind `value`, not the 16 B of the json object itself. Iterative: any depth is safe.
std::size_t heap_bytes(const nlohmann::json& value);
std::size_t heap_bytes(const llm::Event& event);

/// The whole entry with its place in the table and the LRU list.
std::size_t entry_bytes(const Entry& entry);

}  // namespace pmt::response_cache
