#include "kernels/quant/file_blocks.h"

#include <cstring>

namespace pmt::kernels {
namespace {

std::uint16_t u16_at(const std::byte* p) {
  std::uint16_t out = 0;
  std::memcpy(&out, p, sizeof(out));
  return out;
}

std::uint8_t u8_at(const std::byte* p) {
  return std::to_integer<std::uint8_t>(*p);
}

/// The low halves of `bytes` bytes, then the high ones.
void nibbles(const std::byte* p, int bytes, std::uint8_t* codes) {
  for (int i = 0; i < bytes; ++i) {
    codes[i] = u8_at(p + i) & 15U;
    codes[i + bytes] = static_cast<std::uint8_t>(u8_at(p + i) >> 4);
  }
}

/// Q4_0, Q4_1, Q5_0, Q8_0, IQ4_NL: one block.
void read_block(QuantFormat format, const std::byte* p, FileBlock& out) {
  out.half = u16_at(p);
  p += 2;
  if (format == QuantFormat::kQ41) {
    out.half_min = u16_at(p);
    p += 2;
  }
  if (format == QuantFormat::kQ80) {
    for (int i = 0; i < kQuantBlock; ++i) out.codes[i] = u8_at(p + i) ^ 128U;  // signed to 128 more
    return;
  }
  const std::byte* fifths = p;
  if (format == QuantFormat::kQ50) p += 4;
  nibbles(p, 16, out.codes);
  for (int i = 0; format == QuantFormat::kQ50 && i < kQuantBlock; ++i)
    out.codes[i] |= static_cast<std::uint8_t>((u8_at(fifths + i / 8) >> i % 8 & 1U) << 4);
}

/// Eight scales and eight minima of 6 bits in 12 bytes: the first four of each in bytes of their own, the
/// low halves of the others behind them, and their high bits on top of the first.
void read_sixes(const std::byte* p, FileBlock& out) {
  for (int i = 0; i < 4; ++i) {
    out.scales[i] = u8_at(p + i) & 63U;
    out.minima[i] = u8_at(p + 4 + i) & 63U;
    out.scales[4 + i] = static_cast<std::uint8_t>((u8_at(p + 8 + i) & 15U) | u8_at(p + i) >> 6 << 4);
    out.minima[4 + i] = static_cast<std::uint8_t>(u8_at(p + 8 + i) >> 4 | u8_at(p + 4 + i) >> 6 << 4);
  }
}

/// Q4_K, Q5_K: 32 bytes hold two blocks, one in the low halves; the fifth bit of block j is bit j.
void read_k45(QuantFormat format, const std::byte* p, FileBlock& out) {
  out.half = u16_at(p);
  out.half_min = u16_at(p + 2);
  read_sixes(p + 4, out);
  const bool five = format == QuantFormat::kQ5K;
  const std::byte* fifths = p + 16;
  const std::byte* low = fifths + (five ? 32 : 0);
  for (int pair = 0; pair < 4; ++pair) nibbles(low + 32 * pair, 32, out.codes + 64 * pair);
  for (int i = 0; five && i < 256; ++i)
    out.codes[i] |= static_cast<std::uint8_t>((u8_at(fifths + i % 32) >> i / 32 & 1U) << 4);
}

/// Q6_K: of each 128 weights, 64 bytes of low halves and 32 bytes of upper pairs of bits.
void read_k6(const std::byte* p, FileBlock& out) {
  for (int half = 0; half < 2; ++half) {
    std::uint8_t* codes = out.codes + 128 * half;
    nibbles(p + 64 * half, 64, codes);
    const std::byte* pairs = p + 128 + 32 * half;
    for (int i = 0; i < 128; ++i)
      codes[i] |= static_cast<std::uint8_t>((u8_at(pairs + i % 32) >> 2 * (i / 32) & 3U) << 4);
  }
  std::memcpy(out.scales, p + 192, 16);
  out.half = u16_at(p + 208);
}

/// IQ4_XS: the scales' high pairs of bits in a word, their low halves in four bytes.
void read_iq4xs(const std::byte* p, FileBlock& out) {
  out.half = u16_at(p);
  const unsigned pairs = u16_at(p + 2);
  for (int i = 0; i < 8; ++i) {
    const unsigned low = u8_at(p + 4 + i / 2) >> 4 * (i % 2) & 15U;
    out.scales[i] = static_cast<std::uint8_t>(low | (pairs >> 2 * i & 3U) << 4);
    nibbles(p + 8 + 16 * i, 16, out.codes + kQuantBlock * i);
  }
}

}  // namespace

FileBlock read_file_block(QuantFormat format, const std::byte* from) {
  FileBlock out{};
  switch (format) {
    case QuantFormat::kQ4K:
    case QuantFormat::kQ5K:
      read_k45(format, from, out);
      break;
    case QuantFormat::kQ6K:
      read_k6(from, out);
      break;
    case QuantFormat::kIq4Xs:
      read_iq4xs(from, out);
      break;
    default:
      read_block(format, from, out);
  }
  return out;
}

}  // namespace pmt::kernels
