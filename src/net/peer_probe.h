// Tells a client that has ended its sending and waits for its answer (shutdown(SHUT_WR)) from one that is
// gone: both send the same FIN. What tells them apart is how their side takes a byte: a socket that is still
// open keeps it, one that was closed answers with a reset. (A keep-alive probe doesn't: a closed socket
// acknowledges it for a minute.) So while such a client waits, bytes of its answer that are known before it
// is are sent ahead one by one: of "HTTP/1.1 ", and in a stream leading zeros of the next chunk's size (RFC
// 9112, 7.1). At once, after a second, after two more, four more, up to four minutes (note 0020).
// Thread-safety: one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "net/asio_types.h"
#include "net/outbox.h"
#include "net/response_head.h"

namespace pmt::net {

class PeerProbe {
 public:
  /// What makes of a chunk's size that was begun one of a chunk that never comes: the client of a stream that
  /// breaks off must not read a zero as the stream's end.
  static constexpr std::string_view kBroken = "1\r\n";

  /// The byte to send now, if one is due. Requires: all that was written of the answer is sent.
  std::optional<char> next(Outbox::Next next, TimePoint now) {
    const bool head = next == Outbox::Next::kHead && head_bytes_ < kHeadStart.size();
    const bool chunk = next == Outbox::Next::kChunk && zeros_ < kZerosMax;
    if (now < due_ || (!head && !chunk)) return std::nullopt;
    due_ = now + std::chrono::seconds(1 << sent_);
    sent_ = std::min(sent_ + 1, kDoublingsMax);
    if (head) return kHeadStart[head_bytes_++];
    ++zeros_;
    return '0';
  }
  /// Fits what comes next of the answer to what was sent ahead of it.
  void fit(std::string* bytes, bool answer_ended) {
    if (bytes->empty()) {
      if (answer_ended && has_begun_chunk()) *bytes = kBroken;
    } else {
      bytes->erase(0, std::exchange(head_bytes_, 0));
      zeros_ = 0;
    }
  }
  bool has_begun_chunk() const { return zeros_ > 0; }

 private:
  static constexpr int kDoublingsMax = 8;
  static constexpr int kZerosMax = 7;  // some clients take sizes of 16 digits only

  int sent_ = 0;
  std::size_t head_bytes_ = 0;  // of kHeadStart
  int zeros_ = 0;               // since the last chunk
  TimePoint due_{};
};

}  // namespace pmt::net
