// The coded pages (page_layout.h, notes 0005, 0017): rotation, levels, and coding one token. Included once
// per instruction set through attention_impl.h, under the same rules as that file.
//
// After the rotation a vector's elements are close to normally distributed, so fixed Lloyd-Max levels for
// N(0, 1) fit every head and model; outlier dimensions are spread over all. A scale is chosen among the few
// byte codes around the vector's root mean square: the one whose levels come nearest.
// Source: random-sign Hadamard rotation as in QuIP# (arXiv 2402.04396); Lloyd (1982), Max (1960).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"

namespace pmt::kernels {
namespace {

// Sizes of the levels; a code's top bit is its sign. Four bits for keys and most of a value, three for its
// tail. The wide ones are rounded to the upper 16 bits of a float, so that two byte shuffles can look one up.
constexpr int kWideSizes = 8;
constexpr int kTailSizes = 4;
alignas(64) constexpr float kWideTable[16] = {
    0.1279296875F,  0.388671875F,  0.65625F,  0.94140625F,  1.2578125F,  1.6171875F,  2.0625F,  2.734375F,
    -0.1279296875F, -0.388671875F, -0.65625F, -0.94140625F, -1.2578125F, -1.6171875F, -2.0625F, -2.734375F};
alignas(64) constexpr float kTailTable[16] = {0.2451F, 0.7560F, 1.3439F, 2.1520F, 0.2451F, 0.7560F,
                                              1.3439F, 2.1520F, 0.2451F, 0.7560F, 1.3439F, 2.1520F,
                                              0.2451F, 0.7560F, 1.3439F, 2.1520F};

// Scale codes: 0 is zero, c is 2^((c - 129) / 12): from 0.0006 to 1400.
constexpr int kScaleReach = 3;  // codes tried on either side of the root mean square's

struct ScaleTable {
  float of[256] = {};
  constexpr ScaleTable() {
    double scale = 1.0 / 1625.4987;  // 2^(-128 / 12)
    for (int code = 1; code < 256; ++code) {
      of[code] = static_cast<float>(scale);
      scale *= 1.0594630943592953;  // 2^(1 / 12)
    }
  }
};
constexpr ScaleTable kScales;

// The rotation's random signs, a bit a dimension: fixed, since pages written by one build are read by
// another.
constexpr std::uint64_t kRotationSigns[4] = {0x9e3779b97f4a7c15U, 0xbf58476d1ce4e5b9U, 0x94d049bb133111ebU,
                                             0xd6e8feb86659fd93U};

template <class V>
struct CompactCodec {
  /// The transform works on blocks of the largest power of two that divides head_dim.
  static int block_of(int head_dim) { return head_dim & -head_dim; }

  static float sign_of(int d) { return ((kRotationSigns[d / 64] >> (d % 64)) & 1U) != 0 ? -1.0F : 1.0F; }

  /// x = Hx for each block, H the unnormalised Walsh-Hadamard matrix (its own inverse but for a factor).
  static void transform(float* x, int head_dim) {
    const int block = block_of(head_dim);
    for (int step = 1; step < block; step *= 2) {
      for (int i = 0; i < head_dim; i += 2 * step) {
        for (int j = i; j < i + step; ++j) {
          const float a = x[j];
          const float b = x[j + step];
          x[j] = a + b;
          x[j + step] = a - b;
        }
      }
    }
  }

  static float norm_of(int head_dim) {
    return 1.0F / __builtin_sqrtf(static_cast<float>(block_of(head_dim)));
  }

  /// to = H S from / sqrt(block): keeps lengths and products. May be in place.
  static void rotate(const float* from, float* to, int head_dim) {
    const float norm = norm_of(head_dim);
    for (int d = 0; d < head_dim; ++d) to[d] = from[d] * sign_of(d) * norm;
    transform(to, head_dim);
  }

  static void unrotate(float* x, int head_dim) {
    transform(x, head_dim);
    const float norm = norm_of(head_dim);
    for (int d = 0; d < head_dim; ++d) x[d] *= sign_of(d) * norm;
  }

  /// Codes x [count] at one scale (sign in bit 3) and adds the squared error to 16 sums by position: a fixed
  /// order of adding, whatever the vectors' width.
  template <int SIZES, bool WRITE>
  static void quantise_part(const float* x, int count, const float* levels, float scale, std::uint8_t* codes,
                            float* errors) {
    const float inverse = 1.0F / scale;
    const auto code_one = [&](int d, int lane) __attribute__((always_inline)) {
      const float size = __builtin_fabsf(x[d]);
      const float scaled = size * inverse;
      int code = 0;
      float level = levels[0];
      for (int i = 0; i + 1 < SIZES; ++i) {
        const bool above = scaled > 0.5F * (levels[i] + levels[i + 1]);
        code += above ? 1 : 0;
        level = above ? levels[i + 1] : level;
      }
      const float off = size - scale * level;
      errors[lane] += off * off;
      if (WRITE) codes[d] = static_cast<std::uint8_t>(x[d] < 0 ? code | 8 : code);
    };
    int d = 0;
    for (; d + 16 <= count; d += 16) {
      for (int lane = 0; lane < 16; ++lane) code_one(d + lane, lane);
    }
    for (; d < count; ++d) code_one(d, d % 16);
  }

  /// Codes x [head_dim], the last `tail` dimensions with three bits; returns the squared error.
  template <bool WRITE>
  static float quantise_at(const float* x, int head_dim, int tail, float scale, std::uint8_t* codes) {
    float errors[16] = {};
    const int wide = head_dim - tail;
    quantise_part<kWideSizes, WRITE>(x, wide, kWideTable, scale, codes, errors);
    quantise_part<kTailSizes, WRITE>(x + wide, tail, kTailTable, scale, codes + wide, errors);
    for (int width = 8; width > 0; width /= 2) {
      for (int lane = 0; lane < width; ++lane) errors[lane] += errors[lane + width];
    }
    return errors[0];
  }

  /// The same at the best scale; returns its code.
  static std::uint8_t quantise(const float* x, int head_dim, int tail, std::uint8_t* codes) {
    float power = 0;
    for (int d = 0; d < head_dim; ++d) power += x[d] * x[d];
    if (!(power > 0)) {
      for (int d = 0; d < head_dim; ++d) codes[d] = 0;
      return 0;
    }
    const float rms = __builtin_sqrtf(power / static_cast<float>(head_dim));
    const int middle = scale_below(rms);
    float least = -1;
    int chosen = middle;
    for (int code = middle - kScaleReach; code <= middle + kScaleReach; ++code) {
      if (code < 1 || code > 255) continue;
      const float error = quantise_at<false>(x, head_dim, tail, kScales.of[code], codes);
      if (least >= 0 && error >= least) continue;
      least = error;
      chosen = code;
    }
    quantise_at<true>(x, head_dim, tail, kScales.of[chosen], codes);
    return static_cast<std::uint8_t>(chosen);
  }

  /// The last scale that is at most `x`, or the first.
  static int scale_below(float x) {
    int code = 1;
    for (int step = 128; step > 0; step /= 2) {
      if (code + step <= 255 && kScales.of[code + step] <= x) code += step;
    }
    return code;
  }

  static int nearest(float x) { return static_cast<int>(x < 0 ? x - 0.5F : x + 0.5F); }

  /// Codes x [head_dim] as bytes, `stride` apart: the scale is the least that reaches the largest element.
  static void store_vector_bytes(const float* x, int head_dim, std::int8_t* to, int stride) {
    float most = 0;
    for (int d = 0; d < head_dim; ++d) most = __builtin_fabsf(x[d]) > most ? __builtin_fabsf(x[d]) : most;
    const float reach = most / (127 * kStepOfScale);
    int scale = 0;  // of a vector of zeros
    if (most > 0) scale = scale_below(reach);
    if (most > 0 && kScales.of[scale] < reach && scale < 255) ++scale;
    const float inverse = most > 0 ? 1.0F / (kScales.of[scale] * kStepOfScale) : 0.0F;
    const int plain = head_dim - kScaleDims;
    for (int d = 0; d < head_dim; ++d) {
      const float scaled = x[d] * inverse;
      int code = nearest(scaled);
      int most_code = 127;
      if (d >= plain) {
        const int bit = (scale >> (d - plain)) & 1;
        code = 2 * nearest((scaled - static_cast<float>(bit)) / 2) + bit;
        most_code = 126 + bit;
      }
      const int least_code = most_code - 254;
      code = code < least_code ? least_code : code > most_code ? most_code : code;
      to[d * stride] = static_cast<std::int8_t>(code);
    }
  }

  static void store_bytes(const float* k, const float* v, int head_dim, int slot, std::byte* page) {
    auto* keys = reinterpret_cast<std::int8_t*>(page);
    float rotated[kHeadDimMax];
    rotate(k, rotated, head_dim);
    store_vector_bytes(rotated, head_dim, keys + slot, kPageTokens);
    rotate(v, rotated, head_dim);
    store_vector_bytes(rotated, head_dim, keys + (kPageTokens + slot) * head_dim, 1);
  }

  static void load_vector_bytes(const std::int8_t* from, int head_dim, int stride, float* x) {
    const std::int8_t* last = from + (head_dim - kScaleDims) * stride;
    int scale = 0;
    for (int i = 0; i < kScaleDims; ++i) scale |= (last[i * stride] & 1) << i;
    const float step = kScales.of[scale] * kStepOfScale;
    for (int d = 0; d < head_dim; ++d) x[d] = static_cast<float>(from[d * stride]) * step;
    unrotate(x, head_dim);
  }

  static void load_bytes(const std::byte* page, int head_dim, int slot, float* k, float* v) {
    const auto* keys = reinterpret_cast<const std::int8_t*>(page);
    load_vector_bytes(keys + slot, head_dim, kPageTokens, k);
    load_vector_bytes(keys + (kPageTokens + slot) * head_dim, head_dim, 1, v);
  }

  /// A page of bytes' scales, for each token.
  static void scales_of_bytes(const std::byte* page, int head_dim, std::uint8_t* of_keys,
                              std::uint8_t* of_values) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(page);
    for (int t = 0; t < kPageTokens; ++t) of_keys[t] = 0;
    for (int i = 0; i < kScaleDims; ++i) {
      const std::uint8_t* row = bytes + (head_dim - kScaleDims + i) * kPageTokens;
      for (int t = 0; t < kPageTokens; ++t)
        of_keys[t] = static_cast<std::uint8_t>(of_keys[t] | (row[t] & 1U) << i);
    }
    for (int t = 0; t < kPageTokens; ++t) {
      std::uint64_t last;
      __builtin_memcpy(&last, bytes + (kPageTokens + t + 1) * head_dim - kScaleDims, 8);
      // Bit 8i goes to bit 56 + i: no other product reaches there.
      of_values[t] = static_cast<std::uint8_t>((last & 0x0101010101010101U) * 0x0102040810204080U >> 56);
    }
  }

  static void store(const float* k, const float* v, int head_dim, int slot, std::byte* page) {
    const CompactLayout layout(head_dim);
    auto* bytes = reinterpret_cast<std::uint8_t*>(page);
    float rotated[kHeadDimMax];
    std::uint8_t codes[kHeadDimMax];

    rotate(k, rotated, head_dim);
    bytes[layout.key_scales + slot] = quantise(rotated, head_dim, 0, codes);
    const int shift = slot < 16 ? 0 : 4;
    std::uint8_t* column = bytes + slot % 16;
    for (int d = 0; d < head_dim; ++d) {
      column[d * 16] =
          static_cast<std::uint8_t>((column[d * 16] & ~(15U << shift)) | (unsigned{codes[d]} << shift));
    }

    rotate(v, rotated, head_dim);
    bytes[layout.value_scales + slot] = quantise(rotated, head_dim, kCompactTailDims, codes);
    const int wide = head_dim - kCompactTailDims;
    std::uint8_t* nibbles = bytes + layout.values + slot * wide / 2;
    for (int d = 0; d < wide; d += 2)
      nibbles[d / 2] = static_cast<std::uint8_t>(codes[d] | codes[d + 1] << 4);
    std::uint32_t levels = 0;
    unsigned negative = 0;
    for (int i = 0; i < kCompactTailDims; ++i) {
      levels |= (codes[wide + i] & 3U) << (2 * i);
      negative |= static_cast<unsigned>(codes[wide + i] >> 3) << i;
    }
    std::uint8_t* tail = bytes + layout.value_tails + slot * kCompactTailBytes;
    for (int i = 0; i < 4; ++i) tail[i] = static_cast<std::uint8_t>(levels >> (8 * i));
    for (int i = 0; i < 2; ++i) tail[4 + i] = static_cast<std::uint8_t>(negative >> (8 * i));
  }
};

}  // namespace
}  // namespace pmt::kernels
