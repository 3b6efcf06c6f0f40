// The answering half of one connection: what Responders on any thread write, and what the connection sends.
//
// Invariants (all state under `mutex_`):
// 1. Bytes go to `pending_` in call order; the connection takes everything that is there at once.
// 2. `awake_` means that the connection will call take() by itself: it is inside the handler call, a wake-up
//    is posted, or a write is under way. Only a writer that finds it false pays for a wake-up.
// 3. A Responder carries the number of its request; a call with an older number does nothing.
// 4. Callbacks and Responders' own captures are run and destroyed outside the lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/http.h"

namespace pmt::net {

class Outbox : public std::enable_shared_from_this<Outbox> {
 public:
  /// What a response must respect of its request.
  struct RequestTraits {
    bool keep_alive;
    bool http_1_1;
    bool head;  // no body may follow
  };
  enum class Answer {
    kOpen,       // more may come
    kKeepAlive,  // complete
    kClose,      // complete, or broken off: close when it is sent
    kOverflow,   // the client takes its stream too slowly: what it is still told, then close
  };

  /// `wake` makes the connection call take() soon; called under the lock, so it may only post.
  Outbox(std::function<void()> wake, std::size_t pending_bytes_max)
      : wake_(std::move(wake)), pending_bytes_max_(pending_bytes_max) {}

  // The connection's side, on its I/O thread.

  /// Begins the next request's answer. Requires: the last one was taken whole. The caller flushes after the
  /// handler.
  std::shared_ptr<Responder> open(const RequestTraits& traits);
  /// Exchanges `out` (empty, its memory is kept) for everything written so far.
  Answer take(std::string* out);
  /// A head not written yet will say `connection: close`.
  void make_last();
  /// What the running answer's next byte begins, as far as that is sure.
  enum class Next { kHead, kChunk, kUnsure };
  Next next();
  /// Lets a stream that is silent say a comment. From time to time.
  void break_silence(std::chrono::steady_clock::time_point now);
  /// The peer left, or the server stops: runs on_disconnect callbacks if an answer is incomplete.
  void close();

 private:
  class Reply;
  using Callbacks = std::vector<std::function<void()>>;
  enum class Stage { kWaiting, kStreaming, kDone };

  void send(std::uint64_t request, const HttpResponse& response);
  void start_stream(std::uint64_t request, const HttpResponse& head);
  void write(std::uint64_t request, std::string_view chunk);
  void finish_stream(std::uint64_t request);
  void keep_alive(std::uint64_t request, HttpResponse head, Silence silence);
  void on_disconnect(std::uint64_t request, std::function<void()> callback);
  void abandon(std::uint64_t request);

  bool is_in(Stage stage, std::uint64_t request) const {
    return request == request_ && stage == stage_ && !gone_;
  }
  bool is_too_much() const;
  void append_chunk(std::string_view chunk);
  void append_end();
  void append_farewell();
  void begin(const HttpResponse& head);
  void wake();
  Callbacks finish();

  std::mutex mutex_;
  std::function<void()> wake_;
  const std::size_t pending_bytes_max_;
  std::string pending_;
  std::uint64_t request_ = 0;
  RequestTraits traits_{};
  Stage stage_ = Stage::kDone;
  bool awake_ = false;
  bool bodiless_ = false;  // of the running stream
  bool gone_ = false;
  bool broken_off_ = false;  // a stream dropped before its end: the client must see that
  bool overflow_ = false;
  bool sending_ = false;  // the connection has bytes in hand that the socket doesn't take yet
  bool is_sse_ = false;   // the running stream, which can still be told why it ends
  Callbacks on_disconnect_;
  // Of an answer that must not be silent.
  std::optional<HttpResponse> head_;
  Silence silence_;
  bool began_alone_ = false;  // by break_silence: who answers doesn't know
  std::uint64_t said_ = 0, said_before_ = 0;
  std::chrono::steady_clock::time_point silent_since_;
};

}  // namespace pmt::net
