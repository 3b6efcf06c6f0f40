// The quantised formats that our kernels multiply: bits a code, blocks that share a header, and where a
// block's scales come from. All have blocks of 32 weights; the K-quants and IQ4_XS join eight of them to a
// super-block of 256. Thread-safety: constants.
// Source: ggml's block types (ggml-common.h) and their dequantisation (ggml-quants.c).
#pragma once

#include <cstddef>
#include <cstdint>

namespace pmt::kernels {

enum class QuantFormat { kQ40, kQ41, kQ50, kQ80, kQ4K, kQ5K, kQ6K, kIq4Nl, kIq4Xs };

inline constexpr QuantFormat kQuantFormats[] = {QuantFormat::kQ40, QuantFormat::kQ41,   QuantFormat::kQ50,
                                                QuantFormat::kQ80, QuantFormat::kQ4K,   QuantFormat::kQ5K,
                                                QuantFormat::kQ6K, QuantFormat::kIq4Nl, QuantFormat::kIq4Xs};

inline constexpr int kQuantBlock = 32;
inline constexpr int kPackedRows = 16;

/// Of a block, per row. f16 halves of a super-block stand in its header.
enum class QuantScales {
  kHalf,        // an f16 scale
  kHalfMin,     // an f16 scale, an f16 minimum
  kSix,         // 6 bits: 32 more than the scale in units of the header's f16
  kSixMin,      // 6 bits scale, 6 bits of what is subtracted, in units of the header's two f16
  kEightTwice,  // signed 8 bits for each 16 columns, in units of the header's f16
};

struct QuantShape {
  int file_bytes;      // of a row's super-block in a GGUF
  int blocks;          // of 32 weights in a super-block
  int bits;            // of a stored code: 4, 5, 6 or 8
  QuantScales scales;  // of a block
  int zero;            // the unsigned code that means 0, where no minimum does that work
  bool table;          // a code is an index into kIq4Values

  constexpr int columns() const { return blocks * kQuantBlock; }
  /// Packed, of sixteen rows: see packed_matrix.h.
  constexpr int code_bytes() const { return bits * 64; }
  constexpr int scale_bytes() const {
    switch (scales) {
      case QuantScales::kHalfMin:
        return 64;
      case QuantScales::kSix:
        return 12;
      case QuantScales::kSixMin:
        return 24;
      default:
        return 32;
    }
  }
  constexpr int header_bytes() const {
    switch (scales) {
      case QuantScales::kHalf:
      case QuantScales::kHalfMin:
        return 0;
      case QuantScales::kSixMin:
        return 64;
      default:
        return 32;
    }
  }
  constexpr int scales_at() const { return blocks * code_bytes(); }
  constexpr int header_at() const { return scales_at() + blocks * scale_bytes(); }
  constexpr int packed_bytes() const { return header_at() + header_bytes(); }
  /// On average, with its share of scales and header.
  constexpr int bytes_a_block() const { return packed_bytes() / blocks; }
};

constexpr QuantShape quant_shape(QuantFormat format) {
  switch (format) {
    case QuantFormat::kQ40:
      return {18, 1, 4, QuantScales::kHalf, 8, false};
    case QuantFormat::kQ41:
      return {20, 1, 4, QuantScales::kHalfMin, 0, false};
    case QuantFormat::kQ50:
      return {22, 1, 5, QuantScales::kHalf, 16, false};
    case QuantFormat::kQ80:
      return {34, 1, 8, QuantScales::kHalf, 128, false};
    case QuantFormat::kQ4K:
      return {144, 8, 4, QuantScales::kSixMin, 0, false};
    case QuantFormat::kQ5K:
      return {176, 8, 5, QuantScales::kSixMin, 0, false};
    case QuantFormat::kQ6K:
      return {210, 8, 6, QuantScales::kEightTwice, 32, false};
    case QuantFormat::kIq4Nl:
      return {18, 1, 4, QuantScales::kHalf, 128, true};
    case QuantFormat::kIq4Xs:
      break;
  }
  return {136, 8, 4, QuantScales::kSix, 128, true};
}

/// A format that grows in memory would cost decoding, which reads every weight for every token.
constexpr bool keeps_the_files_bytes(QuantFormat format) {
  return quant_shape(format).packed_bytes() == kPackedRows * quant_shape(format).file_bytes;
}
static_assert([] {
  for (const QuantFormat format : kQuantFormats) {
    if (!keeps_the_files_bytes(format)) return false;
  }
  return true;
}());

/// What the codes of IQ4_NL and IQ4_XS stand for, 128 added so that they are unsigned.
alignas(16) inline constexpr std::uint8_t kIq4Values[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                            129, 141, 153, 166, 181, 197, 217, 241};

}  // namespace pmt::kernels
