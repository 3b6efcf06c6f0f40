// What an upstream, a collector or another server answers.
#include "fuzz/fuzz.h"
#include "net/response_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 64;
  std::string_view bytes = pmt::fuzz::text_of(data + 1, size - 1);
  pmt::net::ResponseParser parser((data[0] & 0x40) != 0, nullptr);
  std::string waiting;
  while (!bytes.empty() && !parser.done()) {
    waiting.append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    const auto taken = parser.parse(waiting);
    if (!taken) return 0;
    pmt::fuzz::require(*taken <= waiting.size(), "a parser takes no more than it was given");
    waiting.erase(0, *taken);
  }
  if (parser.end()) (void)parser.take_response();
  return 0;
}
