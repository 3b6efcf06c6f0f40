// Requests as they come from the network: the same result whether they come whole or in pieces.
#include "fuzz/fuzz.h"
#include "net/request_parser.h"

namespace pmt {
namespace {

struct Outcome {
  bool done = false;
  int rejected = 0;
  std::string method = {}, path = {}, body = {};
  std::size_t headers = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome parse(std::string_view bytes, std::size_t piece) {
  net::RequestParser parser({.header_bytes_max = 4096, .body_bytes_max = 4096});
  std::string waiting;
  while (!bytes.empty() && !parser.done() && !parser.rejection()) {
    waiting.append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (std::size_t taken = 1; taken > 0 && !waiting.empty() && !parser.done() && !parser.rejection();) {
      taken = parser.parse(waiting);
      fuzz::require(taken <= waiting.size(), "a parser takes no more than it was given");
      waiting.erase(0, taken);
    }
  }
  Outcome out{.done = parser.done(), .rejected = parser.rejection() ? parser.rejection()->status : 0};
  if (out.done && out.rejected == 0) {
    const net::HttpRequest request = parser.take_request();
    out.method = request.method;
    out.path = request.path;
    out.body = request.body;
    out.headers = request.headers.size();
    fuzz::require(out.body.size() <= 4096, "a body within its limit");
  }
  return out;
}

}  // namespace
}  // namespace pmt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 64;
  const std::string_view bytes = pmt::fuzz::text_of(data + 1, size - 1);
  const auto whole = pmt::parse(bytes, bytes.size() + 1), pieces = pmt::parse(bytes, piece);
  pmt::fuzz::require(whole.done == pieces.done || whole.rejected != 0 || pieces.rejected != 0,
                     "pieces change nothing");
  if (whole.done && pieces.done && whole.rejected == 0 && pieces.rejected == 0)
    pmt::fuzz::require(whole == pieces, "pieces change no part of a request");
  return 0;
}
