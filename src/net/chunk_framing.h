// Where a chunked body stands: in a chunk's bytes, or between two chunks. Beast 1.74 asserts, once it has
// seen the last chunk's line without what ends the body, that it is asked again with five bytes at least
// ("0", CRLF, CRLF): a peer that sends that line and one byte more would end a program built with assertions.
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pmt::net {

class ChunkFraming {
 public:
  void begin(std::uint64_t chunk_bytes) { left_ = chunk_bytes; }
  /// `left`: of the chunk, before `taken` bytes of it.
  void take(std::uint64_t left, std::size_t taken) { left_ = left - taken; }
  /// `waiting` is shorter than any end of a body and may become one: the parser is to see it with more.
  bool may_be_cut_end(std::string_view waiting) const {
    return left_ == 0 && waiting.size() < kEndBytesMin && waiting.starts_with('0');
  }

 private:
  static constexpr std::size_t kEndBytesMin = 5;
  std::uint64_t left_ = 0;
};

}  // namespace pmt::net
