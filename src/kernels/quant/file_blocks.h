// A row's super-block as a GGUF holds it, taken apart. Thread-safety: pure.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/quant/format.h"

namespace pmt::kernels {

/// Fields that the format lacks are 0. Codes of IQ4 are the table's indices.
struct FileBlock {
  std::uint8_t codes[8 * kQuantBlock];  // in the order of columns
  std::uint16_t half, half_min;         // f16: of the block or of the super-block
  std::uint8_t scales[16];              // kSix, kSixMin: one a block; kEightTwice: two, as bytes
  std::uint8_t minima[8];
};

FileBlock read_file_block(QuantFormat format, const std::byte* from);

}  // namespace pmt::kernels
