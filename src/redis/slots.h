// Redis Cluster's hash slots. Thread-safety: pure functions.
// Source: the Redis Cluster specification, "Key distribution model": CRC16 (XMODEM) of the key, or of what is
// between its first { and the next }, modulo 16384.
#pragma once

#include <cstdint>
#include <string_view>

namespace pmt::redis {

inline constexpr std::uint32_t kSlots = 16384;

std::uint32_t slot_of(std::string_view key);

}  // namespace pmt::redis
