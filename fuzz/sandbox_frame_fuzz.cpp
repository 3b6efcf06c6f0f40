// What a program in the sandbox may write to its channel, line by line: a frame of the block that runs, or an
// error that says what is wrong; a frame is within its limits.
#include <algorithm>

#include "base/json.h"
#include "fuzz/fuzz.h"
#include "sandbox/frame.h"

using pmt::fuzz::require;
namespace sandbox = pmt::sandbox;

namespace {

constexpr sandbox::Limits kLimits = {.output_chars_max = 20, .frame_bytes_max = 1 << 14};

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

void check(const sandbox::CallFrame& call) {
  require(call.arguments.is_object(), "arguments are an object");
  require(pmt::base::fits_depth(call.arguments), "of limited depth");
  (void)call.arguments.dump();  // throws for a text that is no UTF-8
}

void check(const sandbox::BlockResult& result) {
  require(characters(result.output) <= kLimits.output_chars_max, "an output is cut");
  require(characters(result.error) <= kLimits.output_chars_max, "an error is cut");
  require(result.output_chars >= 0, "a count counts");
}

void read_line(std::string_view line) {
  auto object = sandbox::frame_object(line, kLimits.frame_bytes_max);
  if (!object) return require(!object.error().message.empty(), "an error says what is wrong");
  const auto frame = sandbox::read_frame(std::move(*object), 1, kLimits);
  if (!frame) return require(!frame.error().message.empty(), "an error says what is wrong");
  std::visit([](const auto& one) { check(one); }, *frame);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = pmt::fuzz::text_of(data, size);
  while (true) {
    const std::size_t end = bytes.find('\n');
    read_line(bytes.substr(0, end));
    if (end == std::string_view::npos) return 0;
    bytes.remove_prefix(end + 1);
  }
}
