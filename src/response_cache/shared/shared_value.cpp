#include "response_cache/shared/shared_value.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

namespace pmt::response_cache {
namespace {

constexpr char kMagic[8] = {'p', 'm', 't', 'v', 'a', 'l', '0', '1'};

std::uint64_t sum_of(const Key& key, const SharedStamp& stamp, std::string_view record) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, key.bytes.data(), key.bytes.size());
  XXH3_64bits_update(&state, &stamp.epoch, sizeof stamp.epoch);
  XXH3_64bits_update(&state, &stamp.number, sizeof stamp.number);
  XXH3_64bits_update(&state, record.data(), record.size());
  return XXH3_64bits_digest(&state);
}

}  // namespace

std::string shared_bytes(const Key& key, const SharedStamp& stamp, const Entry& entry) {
  const std::string record = record_of(entry);
  const std::uint64_t sum = sum_of(key, stamp, record);
  std::string out;
  out.reserve(SharedValue::kHeader + record.size());
  out.append(kMagic, sizeof kMagic);
  for (const std::uint64_t* number : {&stamp.epoch, &stamp.number, &sum})
    out.append(reinterpret_cast<const char*>(number), sizeof *number);
  return out += record;
}

std::optional<SharedValue> peek_shared(std::string_view bytes) {
  if (bytes.size() < SharedValue::kHeader || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    return std::nullopt;
  SharedValue out;
  std::memcpy(&out.stamp.epoch, bytes.data() + 8, 8);
  std::memcpy(&out.stamp.number, bytes.data() + 16, 8);
  out.record = bytes.substr(SharedValue::kHeader);
  return out;
}

std::optional<SharedValue> read_shared(const Key& key, std::string_view bytes) {
  auto out = peek_shared(bytes);
  if (!out) return out;
  std::uint64_t sum = 0;
  std::memcpy(&sum, bytes.data() + 24, 8);
  if (sum != sum_of(key, out->stamp, out->record)) return std::nullopt;
  return out;
}

}  // namespace pmt::response_cache
