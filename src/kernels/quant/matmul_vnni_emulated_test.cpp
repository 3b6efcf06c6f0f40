// The AVX-512 kernels once more, translated to AVX2: what matmul_test.cpp tests on machines without AVX-512.
#include "kernels/testing/emulated_avx512.h"

// Behind it, which takes the intrinsics' names.
#include "kernels/quant/matmul_vnni.cpp"
