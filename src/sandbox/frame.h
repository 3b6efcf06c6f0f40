// What the process sends, checked: a line of bytes -> an object -> one frame of the protocol.
//   {"op": "call", "block", "id", "function", "arguments": {...}}
//   {"op": "done", "id": the block, "output", "output_chars", "error", "final", "variables", "ended"}
// Thread-safety: pure functions. Errors: kCorrupt, which only a program that writes to the channel itself can
// cause. Cost: one pass over the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace pmt::sandbox {

struct CallFrame {
  std::int64_t id = 0;
  std::string function;
  nlohmann::json arguments;  // an object
};

using Frame = std::variant<CallFrame, BlockResult>;  // a result's own calls and own_ms are left

/// A line without its end, as an object of limited depth.
base::Result<nlohmann::json> frame_object(std::string_view line, std::size_t bytes_max);

/// A frame of the running block; texts are cut to the limits.
base::Result<Frame> read_frame(nlohmann::json object, std::int64_t block, const Limits& limits);

}  // namespace pmt::sandbox
