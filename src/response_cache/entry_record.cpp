#include "response_cache/entry_record.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <utility>

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

/// nlohmann's reader calls itself for each level: bytes that nest a million times would end the process.
class ShallowReader : public nlohmann::detail::json_sax_dom_parser<json> {
 public:
  using Base = nlohmann::detail::json_sax_dom_parser<json>;
  ShallowReader(json& out, std::size_t bytes) : Base(out, false), bytes_(bytes) {}
  bool start_object(std::size_t size) { return may_begin(size) && Base::start_object(size); }
  bool start_array(std::size_t size) { return may_begin(size) && Base::start_array(size); }
  bool end_object() { return --depth_, Base::end_object(); }
  bool end_array() { return --depth_, Base::end_array(); }

 private:
  static constexpr int kDepthMax = 1100;  // of requests: simdjson's 1024, and what stands around a value here
  /// Each item takes a byte at least (-1: as many as come); the base throws where memory could not hold them.
  bool may_begin(std::size_t size) {
    return ++depth_ <= kDepthMax && (size == static_cast<std::size_t>(-1) || size <= bytes_);
  }
  const std::size_t bytes_;
  int depth_ = 0;
};

/// Discarded if it is no CBOR.
json read_cbor(std::string_view bytes) {
  json out;
  ShallowReader reader(out, bytes.size());
  const bool whole = json::sax_parse(bytes, &reader, json::input_format_t::cbor);
  return whole && !reader.is_errored() ? out : json(json::value_t::discarded);
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
