// What a model's file says of itself before it is loaded, and whether a server could load it at all.
// Thread-safety: any thread. Errors: kNotFound, kIo, kCorrupt (damaged, of a newer version, without a
// tokenizer), kInvalidArgument (it doesn't write: an adapter, a projector, a model that embeds); each says
// how to go on. Cost: tens of milliseconds and of megabytes for a large vocabulary; no weight is read.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pmt::engine {

struct ModelHeader {
  std::string architecture = {};
  std::int64_t context_tokens = 0;  // 0: it doesn't say
  std::int64_t parameters = 0;
  std::int64_t file_bytes = 0;
  bool has_chat_template = false;
};

base::Result<ModelHeader> read_model_header(const std::string& path);

}  // namespace pmt::engine
