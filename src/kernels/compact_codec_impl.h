// The compact page codec (page_layout.h, note 0005): rotation, levels, and coding one token. Included once
// per instruction set through attention_impl.h, under the same rules as that file.
//
// After the rotation a vector's elements are close to normally distributed, so fixed Lloyd-Max levels for
// N(0, 1) fit every head and model; outlier dimensions are spread over all. The scale that is stored is the
// least-squares fit of the chosen levels, not the vector's own root mean square.
// Source: random-sign Hadamard rotation as in QuIP# (arXiv 2402.04396); Lloyd (1982), Max (1960).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention.h"

namespace pmt::kernels {
namespace {

// Sizes of the levels; a code's top bit is its sign.
constexpr int kKeySizes = 8;
constexpr int kValueSizes = 4;
alignas(64) constexpr float kKeyTable[16] = {0.1284F,  0.3881F,  0.6568F,  0.9424F,  1.2562F,  1.6181F,
                                             2.0690F,  2.7326F,  -0.1284F, -0.3881F, -0.6568F, -0.9424F,
                                             -1.2562F, -1.6181F, -2.0690F, -2.7326F};
alignas(64) constexpr float kValueTable[16] = {0.2451F, 0.7560F, 1.3439F, 2.1520F, 0.2451F, 0.7560F,
                                               1.3439F, 2.1520F, 0.2451F, 0.7560F, 1.3439F, 2.1520F,
                                               0.2451F, 0.7560F, 1.3439F, 2.1520F};

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

  /// Codes x [head_dim] into `codes` (sign in bit 3); returns the scale.
  template <int SIZES>
  static float quantise(const float* x, int head_dim, const float* levels, std::uint8_t* codes) {
    float power = 0;
    for (int d = 0; d < head_dim; ++d) power += x[d] * x[d];
    if (!(power > 0)) {
      for (int d = 0; d < head_dim; ++d) codes[d] = 0;
      return 0;
    }
    const float inverse = __builtin_sqrtf(static_cast<float>(head_dim) / power);
    float fit = 0;
    float weight = 0;
    for (int d = 0; d < head_dim; ++d) {
      const float size = __builtin_fabsf(x[d]) * inverse;
      int code = 0;
      for (int i = 0; i + 1 < SIZES; ++i) code += size > 0.5F * (levels[i] + levels[i + 1]) ? 1 : 0;
      fit += __builtin_fabsf(x[d]) * levels[code];
      weight += levels[code] * levels[code];
      codes[d] = static_cast<std::uint8_t>(x[d] < 0 ? code | 8 : code);
    }
    return fit / weight;
  }

  static void store(const float* k, const float* v, int head_dim, int slot, std::byte* page) {
    const CompactLayout layout(head_dim);
    auto* bytes = reinterpret_cast<std::uint8_t*>(page);
    float rotated[kHeadDimMax];
    std::uint8_t codes[kHeadDimMax];

    rotate(k, rotated, head_dim);
    const float key_scale = quantise<kKeySizes>(rotated, head_dim, kKeyTable, codes);
    const int shift = slot < 16 ? 0 : 4;
    std::uint8_t* column = bytes + slot % 16;
    for (int d = 0; d < head_dim; ++d) {
      column[d * 16] =
          static_cast<std::uint8_t>((column[d * 16] & ~(15U << shift)) | (unsigned{codes[d]} << shift));
    }

    rotate(v, rotated, head_dim);
    const float value_scale = quantise<kValueSizes>(rotated, head_dim, kValueTable, codes);
    std::uint8_t* levels = bytes + layout.value_levels + slot * head_dim / 4;
    std::uint8_t* signs = bytes + layout.value_signs + slot * head_dim / 8;
    for (int d = 0; d < head_dim; d += 8) {
      unsigned word = 0;
      unsigned negative = 0;
      for (int i = 0; i < 8; ++i) {
        word |= (codes[d + i] & 3U) << (2 * i);
        negative |= static_cast<unsigned>(codes[d + i] >> 3) << i;
      }
      levels[d / 4] = static_cast<std::uint8_t>(word);
      levels[d / 4 + 1] = static_cast<std::uint8_t>(word >> 8);
      signs[d / 8] = static_cast<std::uint8_t>(negative);
    }
    reinterpret_cast<std::uint16_t*>(page + layout.key_scales)[slot] = V::to_f16(key_scale);
    reinterpret_cast<std::uint16_t*>(page + layout.value_scales)[slot] = V::to_f16(value_scale);
  }
};

}  // namespace
}  // namespace pmt::kernels
