// What a calibration has done so far, as its file holds it. A first byte of 0 gives the rest as it is; any other has
// the true head put before it, so that pieces and scores are reached.
#include <cstdint>
#include <string>

#include "compression/calibration_state.h"
#include "fuzz/fuzz.h"

using pmt::compression::CalibrationState;
using pmt::compression::read_state;
using pmt::compression::StateOf;
using pmt::compression::to_bytes;
using pmt::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr StateOf kOf{
      .file_bytes = 1000, .layers = 2, .kv_heads = 2, .vocabulary = 300, .piece_tokens = 64};
  std::string_view input = pmt::fuzz::text_of(data, size);
  if (input.empty()) return 0;
  const bool whole = input.front() == 0;
  input.remove_prefix(1);
  std::string bytes;
  if (!whole) {
    bytes = to_bytes(CalibrationState{}, kOf);
    bytes.resize(bytes.size() - 2 * sizeof(std::int32_t));  // the counts, of which there are none
  }
  bytes += input;
  const auto state = read_state(bytes, kOf);
  if (!state) {
    require(!state.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  require(state->scores.size() == state->scored_tokens.size(), "each text's scores have their count");
  require(to_bytes(*state, kOf) == bytes, "what was read is written as it was");
  return 0;
}
