// An entry as bytes, as the disk and the shared tier keep it: a checksum (XXH3), the metadata's length, the
// metadata and the content, both in CBOR. Whoever needs only the metadata reads no more.
// Thread-safety: pure functions. Errors: bytes that fail their checks give nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "response_cache/store/entry_codec.h"

namespace pmt::response_cache {

std::string record_of(const Entry& entry);

std::optional<OutsideEntry> read_record(const Key& key, std::string_view record);

/// Checks the checksum. Needs the whole record.
std::optional<StoreOptions> read_record_meta(std::string_view record);

/// For who has only a record's beginning: nothing is checked but the form. Nothing if it is too short.
std::optional<StoreOptions> peek_record_meta(std::string_view beginning);

}  // namespace pmt::response_cache
