// In what libllama keeps keys and values (note 0037). Thread-safety: any thread. Cost: none.
#pragma once

namespace pmt::inference {

/// From the largest to the smallest. The quantised ones take blocks of 32.
enum class CellType { kF16, kQ8_0, kQ4_0 };  // NOLINT(readability-identifier-naming): ggml's names
/// As the configuration and the answers name it.
const char* name_of(CellType type);

}  // namespace pmt::inference
