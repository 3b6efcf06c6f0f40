// ./dev bench products: our products with quantised weights, on one core, in each instruction set that this
// CPU runs, beside what its dot products reach alone (the roof). No peer: `bench decode` has it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "kernels/quant/matmul.h"
#include "kernels/testing/quant_rows.h"
#include "lab/measure.h"

namespace pmt::bench {
using namespace lab;
using namespace kernels;
namespace {

constexpr int kWeightRows = 512;
constexpr int kRepeats = 9;
constexpr double kGiga = 1e9;

std::string name_of(QuantFormat format) {
  constexpr std::array<const char*, 9> kNames = {"Q4_0", "Q4_1", "Q5_0",   "Q8_0",  "Q4_K",
                                                 "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"};
  return kNames[static_cast<std::size_t>(format)];
}

template <class Fn>
double best_seconds(Fn&& fn) {
  double best = 1e9;
  for (int i = 0; i < kRepeats; ++i) {
    const Stopwatch stopwatch;
    fn();
    best = std::min(best, stopwatch.seconds());
  }
  return best;
}

#if defined(__x86_64__)
/// G multiplications a second of VNNI: 64 an instruction, into as many registers as its latency asks for.
double vnni_roof() {
  constexpr int kRounds = 1 << 20, kEach = 12 * 64;
  return kEach * double{kRounds} / kGiga / best_seconds([] {
           for (int i = 0; i < kRounds; ++i) {
             asm volatile(
                 "vpdpbusd %%zmm12, %%zmm12, %%zmm0\n vpdpbusd %%zmm12, %%zmm12, %%zmm1\n"
                 "vpdpbusd %%zmm12, %%zmm12, %%zmm2\n vpdpbusd %%zmm12, %%zmm12, %%zmm3\n"
                 "vpdpbusd %%zmm12, %%zmm12, %%zmm4\n vpdpbusd %%zmm12, %%zmm12, %%zmm5\n"
                 "vpdpbusd %%zmm12, %%zmm12, %%zmm6\n vpdpbusd %%zmm12, %%zmm12, %%zmm7\n"
                 "vpdpbusd %%zmm12, %%zmm12, %%zmm8\n vpdpbusd %%zmm12, %%zmm12, %%zmm9\n"
                 "vpdpbusd %%zmm12, %%zmm12, %%zmm10\n vpdpbusd %%zmm12, %%zmm12, %%zmm11"
                 :
                 :
                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                   "xmm11", "xmm12");
           }
           asm volatile("vzeroupper");
         });
}

/// The same of AMX, with as many columns a tile as one of our blocks has. Requires that the process may use
/// tiles.
double amx_roof(int columns) {
  constexpr int kRounds = 1 << 18;
  alignas(64) std::array<std::uint8_t, 64> config{};
  config[0] = 1;
  for (std::size_t tile = 0; tile < 6; ++tile) {
    config[16 + 2 * tile] = tile == 4 ? static_cast<std::uint8_t>(columns) : 64;
    config[48 + tile] = tile == 5 ? static_cast<std::uint8_t>(columns / 4) : 16;
  }
  asm volatile("ldtilecfg %0" : : "m"(config));
  const double seconds = best_seconds([] {
    for (int i = 0; i < kRounds; ++i)
      asm volatile(
          "tdpbsud %tmm5, %tmm4, %tmm0\n tdpbsud %tmm5, %tmm4, %tmm1\n"
          "tdpbsud %tmm5, %tmm4, %tmm2\n tdpbsud %tmm5, %tmm4, %tmm3");
  });
  asm volatile("tilerelease");
  return 4.0 * 16 * 16 * columns * kRounds / kGiga / seconds;
}
#endif

/// 0 where none is known.
double roof_of([[maybe_unused]] Isa isa, [[maybe_unused]] QuantFormat format) {
#if defined(__x86_64__)
  if (isa == Isa::kAmx)
    return amx_roof(quant_shape(format).scales == QuantScales::kEightTwice ? kQuantBlock / 2 : kQuantBlock);
  if (isa == Isa::kAvx512) return vnni_roof();
#endif
  return 0;
}

nlohmann::ordered_json measured(Isa isa, QuantFormat format, int rows, int columns) {
  const QuantMatmul& kernels = *quant_matmul(isa);
  const auto blocks = kernels::testing::random_blocks(format, kWeightRows, columns, 1);
  const PackedMatrix weights(format, kWeightRows, columns, blocks.data());
  const auto x = kernels::testing::random_rows(rows, columns, 2);
  std::vector<float> out(static_cast<std::size_t>(rows) * kWeightRows);
  QuantRows coded;
  const double coding = best_seconds([&] { kernels.quantise(x.data(), rows, columns, columns, coded); });
  const double seconds =
      best_seconds([&] { kernels.multiply(weights, coded, 0, weights.groups(), out.data(), kWeightRows); });
  const double reached = double{kWeightRows} * rows * columns / kGiga / seconds;
  const double roof = roof_of(isa, format);
  nlohmann::ordered_json row = {{"format", name_of(format)}, {"kernels", kernels.name}, {"rows", rows}};
  row["columns"] = columns;
  row["g_multiplications_per_s"] = reached;
  row["roof_g_multiplications_per_s"] = roof;
  row["share_of_roof"] = roof > 0 ? reached / roof : 0;
  row["coding_ns_per_block"] = coding * kGiga * kQuantBlock / (double{1} * rows * columns);
  return row;
}

int bench(std::vector<std::string> args) {
  const bool json = take_flag(args, "--json");
  const auto rows = split(take_value(args, "--rows", "1,8,13,16,112,512"));
  const int columns = std::stoi(take_value(args, "--columns", "1536"));
  if (!args.empty() || columns <= 0 || columns % 256 != 0) {
    fmt::print(stderr, "usage: bench products [--rows A,B] [--columns N, of 256] [--json]\n");
    return 2;
  }
  Result result{.name = "products", .seed = 1, .rows = {}, .targets = {}};
  for (const QuantFormat format : kQuantFormats) {
    progress(name_of(format));
    for (const std::string& each : rows) {
      for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
        if (quant_matmul(isa) != nullptr)
          result.rows.push_back(measured(isa, format, std::stoi(each), columns));
      }
    }
  }
  print(result, json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench({argv + 1, argv + argc});
}
