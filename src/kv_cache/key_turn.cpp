#include "kv_cache/key_turn.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "kernels/f16.h"
#include "kernels/page_layout.h"

namespace pmt::kv_cache {

void move_rows(ConstPageRows from, PageRows to, int rows, int head_dim, const KeyTurn& turn,
               std::size_t table) {
  constexpr int kTokens = kernels::kPageTokens;
  const std::uint16_t* const keys = kernels::f16_page_keys(from.page) + from.first;
  std::uint16_t* const moved = kernels::f16_page_keys(to.page) + to.first;
  const int pairs = static_cast<int>(turn.cos_sin.size() / 2);
  for (int d = 2 * pairs; d < head_dim; ++d) {
    std::memcpy(moved + static_cast<std::ptrdiff_t>(d) * kTokens,
                keys + static_cast<std::ptrdiff_t>(d) * kTokens,
                static_cast<std::size_t>(rows) * sizeof(std::uint16_t));
  }
  for (int pair = 0; pair < pairs; ++pair) {
    const float cos = turn.cos_sin[static_cast<std::size_t>(2 * pair)];
    const float sin = turn.cos_sin[static_cast<std::size_t>(2 * pair + 1)];
    const std::ptrdiff_t a_at = static_cast<std::ptrdiff_t>(pair) * turn.stride * kTokens;
    const std::ptrdiff_t b_at = a_at + static_cast<std::ptrdiff_t>(turn.distance) * kTokens;
    const auto first = static_cast<std::size_t>(pair) * static_cast<std::size_t>(turn.stride);
    const float* const shift =
        turn.shift.empty() ? nullptr : turn.shift.data() + table * static_cast<std::size_t>(head_dim) + first;
    const float a_shift = shift == nullptr ? 0 : shift[0],
                b_shift = shift == nullptr ? 0 : shift[turn.distance];
    for (int row = 0; row < rows; ++row) {
      const float a = kernels::f16_to_f32(keys[a_at + row]);
      const float b = kernels::f16_to_f32(keys[b_at + row]);
      moved[a_at + row] = kernels::f32_to_f16(a * cos - b * sin + a_shift);
      moved[b_at + row] = kernels::f32_to_f16(a * sin + b * cos + b_shift);
    }
  }
  const auto row_bytes = static_cast<std::size_t>(head_dim) * sizeof(std::uint16_t);
  std::memcpy(
      kernels::f16_page_values(to.page, head_dim) + static_cast<std::ptrdiff_t>(to.first) * head_dim,
      kernels::f16_page_values(from.page, head_dim) + static_cast<std::ptrdiff_t>(from.first) * head_dim,
      static_cast<std::size_t>(rows) * row_bytes);
}

base::Status append_moved(const Run& run, const KeyTurn& turn, SequenceKv& to) {
  const KvShape& shape = to.shape();
  CHECK(!to.compact() && !run.from.compact() && shape.local_layers() == 0 &&
        shape.tables() == run.from.shape().tables() && run.first + run.tokens <= run.from.tokens());
  TRY(to.reserve(run.tokens));
  constexpr int kTokens = kernels::kPageTokens;
  for (int done = 0; done < run.tokens;) {
    const int source = run.first + done, place = to.tokens() + done;
    const int rows = std::min({kTokens - source % kTokens, kTokens - place % kTokens, run.tokens - done});
    for (std::size_t t = 0; t < shape.tables(); ++t) {
      const auto old_pages = run.from.table(shape.layer_of(t), shape.head_of(t)).pages;
      const auto new_pages = to.table(shape.layer_of(t), shape.head_of(t)).pages;
      move_rows({run.pool.data(old_pages[static_cast<std::size_t>(source / kTokens)]), source % kTokens},
                {run.pool.data(new_pages[static_cast<std::size_t>(place / kTokens)]), place % kTokens}, rows,
                shape.head_dim, turn, t);
    }
    done += rows;
  }
  to.commit(run.tokens);
  return {};
}

}  // namespace pmt::kv_cache
