// Reads a GGUF's header by itself, byte by byte and bounded by the file, before any other code sees the file:
// ggml and libllama end the process (GGML_ASSERT) on some damaged or hostile headers instead of saying so.
//
// Checked: magic, version, counts, every length against what is left of the file, value types, names (given
// once, without a zero byte, no longer than ggml's), shapes (1 to 4 dimensions whose product fits), tensor
// types that can be multiplied by, whole blocks in a row, the data's alignment, each tensor where the one
// before it ends and inside the file; and of the keys those on which libllama asserts (layer and expert
// counts, splits, kinds of tokenizer). Thread-safety: any. Errors: kNotFound, kIo, kCorrupt; the message
// names the key or tensor. Cost: one pass over the header (tens of milliseconds for 262,144 tokens); no
// tensor is read.
#pragma once

#include <string>

#include "base/result.h"

namespace pmt::model {

/// A model may be cut into several files, of which none can be loaded alone.
enum class GgufExtent { kWhole, kPart };

base::Status check_gguf(const std::string& path, GgufExtent extent = GgufExtent::kWhole);

}  // namespace pmt::model
