// A value in the shared tier: 8 B of magic and version, the epoch and the invalidation number that its
// computation knew (8 B each), a checksum of 8 B over key, epoch, number and record, then the record
// (entry_record.h). Integers in the machine's order: little-endian everywhere that this runs.
// Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "response_cache/store/entry_record.h"

namespace pmt::response_cache {

struct SharedStamp {
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
};

struct SharedValue {
  static constexpr std::size_t kHeader = 32;
  SharedStamp stamp;
  std::string_view record;
};

std::string shared_bytes(const Key& key, const SharedStamp& stamp, const Entry& entry);
/// Nothing if a byte is wrong, or the value belongs to another key.
std::optional<SharedValue> read_shared(const Key& key, std::string_view bytes);
/// The same of a value's beginning, unchecked.
std::optional<SharedValue> peek_shared(std::string_view beginning);

}  // namespace pmt::response_cache
