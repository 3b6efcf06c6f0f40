// Picks the kernels that this CPU runs.
#include <initializer_list>

#include "kernels/attention.h"
#include "kernels/quant/matmul.h"

namespace pmt::kernels {

const AttentionKernels* attention_kernels_scalar();
#if defined(__x86_64__)
const AttentionKernels* attention_kernels_avx2();
const AttentionKernels* attention_kernels_avx512();
const QuantMatmul* quant_matmul_avx2();
const QuantMatmul* quant_matmul_vnni();
const QuantMatmul* quant_matmul_amx();
#endif

const AttentionKernels* attention_kernels(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return attention_kernels_scalar();
#if defined(__x86_64__)
    case Isa::kAvx2: {
      const bool ok =
          __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
      return ok ? attention_kernels_avx2() : nullptr;
    }
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") ? attention_kernels_avx512() : nullptr;
    case Isa::kAmx:
      return nullptr;
#else
    default:
      return nullptr;
#endif
  }
  return nullptr;
}

const QuantMatmul* quant_matmul(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx2:
      return quant_matmul_avx2();
    case Isa::kAvx512:
      return quant_matmul_vnni();
    case Isa::kAmx:
      return quant_matmul_amx();
#endif
    default:
      return nullptr;
  }
}

const QuantMatmul* quant_matmul() {
  for (const Isa isa : {Isa::kAmx, Isa::kAvx512, Isa::kAvx2}) {
    if (const QuantMatmul* kernels = quant_matmul(isa)) return kernels;
  }
  return nullptr;
}

const AttentionKernels& best_attention_kernels() {
  for (const Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
    if (const AttentionKernels* kernels = attention_kernels(isa)) return *kernels;
  }
  return *attention_kernels_scalar();
}

}  // namespace pmt::kernels
