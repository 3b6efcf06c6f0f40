#include "kernels/quant/packed_matrix.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "base/check.h"
#include "kernels/f16.h"
#include "kernels/quant/file_blocks.h"

namespace pmt::kernels {
namespace {

constexpr std::size_t kCacheLine = 64, kHugePage = std::size_t{2} << 20;

/// Huge pages where it fills some: with small ones a core waits for translations, and the hardware's
/// prefetcher stops at each one's end (note 0029). The rest stays in small ones: no byte more than asked.
std::byte* memory_for(std::size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, bytes < kHugePage ? kCacheLine : kHugePage, bytes) != 0) throw std::bad_alloc();
  // Advice only: a refusal costs speed, not correctness.
  if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return static_cast<std::byte*>(memory);
}

float f16_at(const std::byte* p) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, p, sizeof(bits));
  return f16_to_f32(bits);
}

void or_into(std::byte* to, unsigned bits) {
  *to |= static_cast<std::byte>(bits);
}

std::uint32_t word_at(const std::uint8_t* p) {
  std::uint32_t out = 0;
  std::memcpy(&out, p, sizeof(out));
  return out;
}

void put_word(std::byte* to, std::uint32_t word) {
  std::memcpy(to, &word, sizeof(word));
}

/// One row's codes of a block, into zeros; four columns at a time.
void place_codes(const std::uint8_t* codes, int bits, int row, std::byte* to) {
  std::byte* lane = to + row * 4;
  if (bits == 8) {
    for (int quad = 0; quad < 8; ++quad) put_word(lane + quad * 64, word_at(codes + quad * 4));
    return;
  }
  for (int quad = 0; quad < 4; ++quad) {
    const std::uint32_t low = word_at(codes + quad * 4) & 0x0F0F0F0FU;
    const std::uint32_t high = word_at(codes + 16 + quad * 4) & 0x0F0F0F0FU;
    put_word(lane + quad * 64, low | high << 4);
  }
  for (int quad = 0; bits == 5 && quad < 8; ++quad) {
    // The product gathers four bytes' lowest bits at its top.
    const std::uint32_t fifths = word_at(codes + quad * 4) >> 4 & 0x01010101U;
    or_into(to + 256 + quad * 8 + row / 2, fifths * 0x10204080U >> 28 << row % 2 * 4);
  }
  for (int half = 0; bits == 6 && half < 2; ++half) {
    std::uint32_t pairs = 0;
    for (int i = 0; i < 4; ++i) pairs |= (word_at(codes + half * 16 + i * 4) >> 4 & 0x03030303U) << 2 * i;
    put_word(lane + 256 + half * 64, pairs);
  }
}

void place_six(unsigned value, int row, std::byte* to) {
  or_into(to + row % 2 * 4 + row / 4, (value & 15U) << row / 2 % 2 * 4);
  or_into(to + 8 + row / 4, (value >> 4) << row % 4 * 2);
}

int six_at(const std::byte* from, int row) {
  const auto low = std::to_integer<unsigned>(from[row % 2 * 4 + row / 4]) >> row / 2 % 2 * 4 & 15U;
  const auto upper = std::to_integer<unsigned>(from[8 + row / 4]) >> row % 4 * 2 & 3U;
  return static_cast<int>(low | upper << 4);
}

/// One row's scales of block `index` and, with the first block, the header.
void place_scales(const QuantShape& shape, const FileBlock& block, int index, int row, std::byte* super) {
  std::byte* scales = super + shape.scales_at() + index * shape.scale_bytes();
  std::byte* halves = shape.header_bytes() > 0 ? super + shape.header_at() : scales;
  if (index == 0) {
    std::memcpy(halves + row * 2, &block.half, 2);
    if (shape.scales == QuantScales::kHalfMin || shape.scales == QuantScales::kSixMin)
      std::memcpy(halves + 32 + row * 2, &block.half_min, 2);
  }
  if (shape.scales == QuantScales::kSix || shape.scales == QuantScales::kSixMin)
    place_six(block.scales[index], row, scales);
  if (shape.scales == QuantScales::kSixMin) place_six(block.minima[index], row, scales + 12);
  if (shape.scales == QuantScales::kEightTwice) {
    scales[row] = static_cast<std::byte>(block.scales[2 * index]);
    scales[16 + row] = static_cast<std::byte>(block.scales[2 * index + 1]);
  }
}

int code_at(const QuantShape& shape, const std::byte* codes, int row, int column) {
  const int quad = column / 4;
  const int lane = row * 4 + column % 4;
  if (shape.bits == 8) return std::to_integer<int>(codes[quad * 64 + lane]);
  int code = std::to_integer<int>(codes[quad % 4 * 64 + lane]) >> (quad < 4 ? 0 : 4) & 15;
  if (shape.bits == 5) code |= (std::to_integer<int>(codes[256 + quad * 8 + lane / 8]) >> lane % 8 & 1) << 4;
  if (shape.bits == 6)
    code |= (std::to_integer<int>(codes[256 + quad / 4 * 64 + lane]) >> quad % 4 * 2 & 3) << 4;
  return shape.table ? kIq4Values[code] : code;
}

}  // namespace

PackedBlock read_packed_block(const PackedMatrix& matrix, int row, int block) {
  const QuantShape shape = quant_shape(matrix.format());
  const int index = block % shape.blocks;
  const int lane = row % kPackedRows;
  const std::byte* super =
      matrix.group(row / kPackedRows) + std::ptrdiff_t{block / shape.blocks} * shape.packed_bytes();
  const std::byte* scales = super + shape.scales_at() + index * shape.scale_bytes();
  const std::byte* header = super + shape.header_at();
  PackedBlock out{};
  for (int i = 0; i < kQuantBlock; ++i)
    out.codes[i] = code_at(shape, super + index * shape.code_bytes(), lane, i);
  switch (shape.scales) {
    case QuantScales::kHalf:
      out.scale[0] = f16_at(scales + lane * 2);
      break;
    case QuantScales::kHalfMin:
      out.scale[0] = f16_at(scales + lane * 2);
      out.minimum = f16_at(scales + 32 + lane * 2);
      break;
    case QuantScales::kSix:
      out.scale[0] = f16_at(header + lane * 2) * static_cast<float>(six_at(scales, lane) - 32);
      break;
    case QuantScales::kSixMin:
      out.scale[0] = f16_at(header + lane * 2) * static_cast<float>(six_at(scales, lane));
      out.minimum = -(f16_at(header + 32 + lane * 2) * static_cast<float>(six_at(scales + 12, lane)));
      break;
    case QuantScales::kEightTwice:
      for (int i = 0; i < 2; ++i) {
        const auto code = static_cast<std::int8_t>(std::to_integer<std::uint8_t>(scales[16 * i + lane]));
        out.scale[i] = f16_at(header + lane * 2) * static_cast<float>(code);
      }
      return out;
  }
  out.scale[1] = out.scale[0];
  return out;
}

std::size_t PackedMatrix::group_bytes() const {
  const QuantShape shape = quant_shape(format_);
  return static_cast<std::size_t>(shape.packed_bytes()) *
         static_cast<std::size_t>(columns_ / shape.columns());
}

PackedMatrix::PackedMatrix(QuantFormat format, int rows, int columns, const std::byte* source)
    : format_(format), rows_(rows), columns_(columns) {
  const QuantShape shape = quant_shape(format);
  CHECK(columns % shape.columns() == 0);
  const std::size_t whole_lines = (bytes() + kCacheLine - 1) / kCacheLine * kCacheLine;
  bytes_.reset(memory_for(whole_lines));
  std::memset(bytes_.get(), 0, whole_lines);
  for (int row = 0; row < rows; ++row) {
    std::byte* super = bytes_.get() + group_bytes() * static_cast<std::size_t>(row / kPackedRows);
    for (int at = 0; at < columns; at += shape.columns()) {
      const FileBlock block = read_file_block(format, source);
      for (int i = 0; i < shape.blocks; ++i) {
        place_codes(block.codes + i * kQuantBlock, shape.bits, row % kPackedRows,
                    super + i * shape.code_bytes());
        place_scales(shape, block, i, row % kPackedRows, super);
      }
      source += shape.file_bytes;
      super += shape.packed_bytes();
    }
  }
}

void PackedMatrix::row(int index, float* out) const {
  const int zero = quant_shape(format_).zero;
  for (int block = 0; block < columns_ / kQuantBlock; ++block) {
    const PackedBlock values = read_packed_block(*this, index, block);
    for (int i = 0; i < kQuantBlock; ++i)
      *out++ = values.scale[i / 16] * static_cast<float>(values.codes[i] - zero) + values.minimum;
  }
}

}  // namespace pmt::kernels
