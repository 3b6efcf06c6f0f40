#include "response_cache/store/entry_record.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <utility>

#include "base/json.h"

namespace pmt::response_cache {
namespace {

using nlohmann::json;

constexpr std::size_t kHeader = sizeof(std::uint64_t) + sizeof(std::uint32_t);  // checksum, metadata's length

struct Record {
  std::string_view meta, value;
};

std::optional<Record> parts_of(std::string_view bytes) {
  std::uint32_t length = 0;
  if (bytes.size() < kHeader) return std::nullopt;
  std::memcpy(&length, bytes.data() + sizeof(std::uint64_t), sizeof length);
  if (length > bytes.size() - kHeader) return std::nullopt;
  return Record{bytes.substr(kHeader, length), bytes.substr(kHeader + length)};
}

/// Discarded if it is no CBOR. How long it may be, who keeps it decides.
json read_cbor(std::string_view bytes) {
  auto read = base::parse_cbor(bytes, {.bytes_max = bytes.size(), .depth_max = kEntryDepthMax});
  return read ? std::move(*read) : json(json::value_t::discarded);
}

bool is_whole(std::string_view bytes) {
  std::uint64_t sum = 0;
  if (bytes.size() < kHeader) return false;
  std::memcpy(&sum, bytes.data(), sizeof sum);
  return sum == XXH3_64bits(bytes.data() + sizeof sum, bytes.size() - sizeof sum);
}

}  // namespace

std::string record_of(const Entry& entry) {
  std::string body;
  const auto meta = json::to_cbor(meta_json(entry.meta, entry.stored_unix_s));
  const auto value = json::to_cbor(value_json(entry.value));
  const auto length = static_cast<std::uint32_t>(meta.size());
  body.resize(kHeader);
  std::memcpy(body.data() + sizeof(std::uint64_t), &length, sizeof length);
  body.append(reinterpret_cast<const char*>(meta.data()), meta.size());
  body.append(reinterpret_cast<const char*>(value.data()), value.size());
  const std::uint64_t sum = XXH3_64bits(body.data() + sizeof sum, body.size() - sizeof sum);
  std::memcpy(body.data(), &sum, sizeof sum);
  return body;
}

std::optional<OutsideEntry> read_record(const Key& key, std::string_view bytes) {
  const auto record = is_whole(bytes) ? parts_of(bytes) : std::nullopt;
  if (!record) return std::nullopt;
  OutsideEntry out;
  out.key = key;
  if (!read_meta(read_cbor(record->meta), out.meta, out.stored_unix_s)) return std::nullopt;
  auto content = read_value(read_cbor(record->value));
  if (!content) return std::nullopt;
  out.value = std::move(*content);
  return out;
}

std::optional<StoreOptions> peek_record_meta(std::string_view beginning) {
  const auto record = parts_of(beginning);
  if (!record) return std::nullopt;
  StoreOptions meta;
  std::int64_t stored = 0;
  if (!read_meta(read_cbor(record->meta), meta, stored)) return std::nullopt;
  return meta;
}

std::optional<StoreOptions> read_record_meta(std::string_view bytes) {
  return is_whole(bytes) ? peek_record_meta(bytes) : std::nullopt;
}

}  // namespace pmt::response_cache
