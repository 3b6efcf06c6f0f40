// Server-sent events of an upstream: the same payloads however they are cut, and what we write reads back.
#include <algorithm>
#include <vector>

#include "fuzz/fuzz.h"
#include "net/sse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 16;
  const std::string_view bytes = pmt::fuzz::text_of(data + 1, size - 1);
  pmt::net::SseParser whole, pieces;
  const std::vector<std::string> once = whole.feed(bytes);
  std::vector<std::string> cut;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    for (auto& event : pieces.feed(bytes.substr(at, piece))) cut.push_back(std::move(event));
  }
  pmt::fuzz::require(once == cut, "pieces change no event");
  for (const std::string& payload : once) {
    pmt::net::SseParser again;
    const auto back = again.feed(pmt::net::sse_event(payload));
    pmt::fuzz::require(back.size() == 1 && back[0] == payload, "an event that is written reads back");
  }
  return 0;
}
