// The instruction sets that kernels are compiled for; dispatch.cpp picks what this CPU runs.
#pragma once

namespace pmt::kernels {

/// kAmx is for products alone; what isn't one is kAvx512's on such CPUs.
enum class Isa { kScalar, kAvx2, kAvx512, kAmx };

}  // namespace pmt::kernels
