// Put before ggml's AMX products (cmake/dependencies.cmake). GCC's _tile_loadconfig says of the 64 bytes that the instruction
// reads only that it reads the first eight. So the optimizer drops what fills the others, and a processor with AMX ends the
// process with a general protection fault. Here all of them are named.
#pragma once

#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>

static inline void pmt_load_tile_config(const void* config) {
  __asm__ volatile("ldtilecfg %0" : : "m"(*static_cast<const char(*)[64]>(config)));
}
#define _tile_loadconfig(config) pmt_load_tile_config(config)
#endif
