// The reference: one lane, plain C++, the same algorithm as the vector kernels.
#include <cmath>

#include "kernels/attention_impl.h"
#include "kernels/f16.h"

namespace pmt::kernels {
namespace {

struct Scalar {
  using Reg = float;
  static constexpr int kLanes = 1, kScoreRows = 1, kValueRows = 1, kValueVecs = 16;
  static float load(const float* p) { return *p; }
  static float load(const std::uint16_t* p) { return f16_to_f32(*p); }
  static float load(const std::int8_t* p) { return *p; }
  static void store(float* p, float x) { *p = x; }
  static float broadcast(float x) { return x; }
  static float fma(float a, float b, float c) { return a * b + c; }
  static float mul(float a, float b) { return a * b; }
  static float add(float a, float b) { return a + b; }
  static float sub(float a, float b) { return a - b; }
  static float max(float a, float b) { return a > b ? a : b; }
  static float exp(float x) { return std::exp(x); }
  static float exp_scalar(float x) { return std::exp(x); }
  static float reduce_max(float x) { return x; }
  static float reduce_add(float x) { return x; }
  static std::uint16_t to_f16(float x) { return f32_to_f16(x); }
  static float from_f16(std::uint16_t x) { return f16_to_f32(x); }

  using K4 = const std::uint8_t*;
  static K4 load_k4(const std::uint8_t* p) { return p; }
  static Reg level(K4 p, int t) { return kWideTable[t < 16 ? p[t] & 15 : p[t - 16] >> 4]; }
  static void store_k4(float* to, const Reg* k) {
    for (int t = 0; t < kPageTokens; ++t) to[t] = k[t];
  }
  static void load_v4(const std::uint8_t* nibbles, Reg* x) {
    for (int d = 0; d < 16; ++d) x[d] = kWideTable[(nibbles[d / 2] >> (d % 2 * 4)) & 15];
  }
  static void load_v3(const std::uint8_t* tail, Reg* x) {
    for (int d = 0; d < 16; ++d) {
      const float size = kTailTable[(tail[d / 4] >> (d % 4 * 2)) & 3];
      x[d] = ((tail[4 + d / 8] >> (d % 8)) & 1) != 0 ? -size : size;
    }
  }
  static Reg shuffled(Reg x) { return x; }
  static Reg unshuffled(Reg x) { return x; }
};

constexpr AttentionKernels kTable = Attention<Scalar>::table("scalar");

}  // namespace

const AttentionKernels* attention_kernels_scalar() {
  return &kTable;
}

}  // namespace pmt::kernels
