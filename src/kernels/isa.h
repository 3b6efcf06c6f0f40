// The instruction sets that kernels are compiled for; dispatch.cpp picks what this CPU runs.
#pragma once

namespace pmt::kernels {

enum class Isa { kScalar, kAvx2, kAvx512 };

}  // namespace pmt::kernels
