// One client's connection: a coroutine reads, a plain function sends, both on the one thread of its
// io_context.
//
// Invariants:
// 1. A read is always under way (save while a client has pipelined more than it may), so a peer that leaves
//    is seen at once, answering or not. What it brings while an answer runs is the next request, kept in
//    `backlog_`. A peer that only ended its sending gets the answers to all that it sent; whether it is still
//    there is found out by peer_probe.h.
// 2. One answer at a time: the next request is handed to the handler when the last answer is sent.
// 3. Nothing here blocks and no operation has a timer: `deadline_` is checked by the shard's sweep.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "net/asio_types.h"
#include "net/http_server.h"
#include "net/outbox.h"
#include "net/peer_probe.h"
#include "net/request_parser.h"

namespace pmt::net {

/// Thread-safety: the thread of its io_context only; requires that thread to be the only one that runs it.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  enum class Admission { kServed, kRefused };  // kRefused: every request is answered 503

  /// `options` and `handler` must outlive it.
  Connection(Socket socket, const ServerOptions& options, const Handler& handler, Admission admission);
  ~Connection();

  /// Serves until the connection is closed. The caller holds a reference meanwhile.
  Task<void> run();
  /// Closes it if it waited for longer than it may.
  void check_deadline(TimePoint now);
  /// Closes it now if no answer runs, else after that answer.
  void drain();
  /// Closes it now.
  void leave();

 private:
  enum class State { kReading, kAnswering, kLingering, kClosed };
  using error_code = boost::system::error_code;

  bool must_pause() const;
  void on_read_end(const error_code& ec);
  void end_requests();
  void probe_peer(TimePoint now);
  void receive(std::string_view bytes);
  void take(std::string_view bytes);
  void read_more();
  void receive_sealed(std::string_view bytes);
  std::string& wire() { return tls_ ? sealed_ : out_; }
  std::string_view serve(std::string_view bytes);
  void serve_backlog();
  void dispatch();
  void reject(int status, std::string_view message, Headers headers = {});
  void flush();
  bool on_all_sent();
  void wait_writable();
  void end_answer();
  void linger();
  void expect_within(int seconds);
  RequestParser::Limits limits() const;

  Socket socket_;
  const ServerOptions& options_;
  const Handler& handler_;
  const Admission admission_;
  std::string peer_;
  std::shared_ptr<Outbox> outbox_;
  Timer pause_;  // never expires: cancelled to go on reading

  State state_ = State::kReading;
  Outbox::Answer answer_ = Outbox::Answer::kOpen;
  bool closing_ = false;     // after the running answer
  bool peer_ended_ = false;  // it sends no more, but still gets its answers
  bool receiving_ = false;   // a request has begun
  bool writing_ = false;     // waits for room to send
  bool paused_ = false;
  bool continue_sent_ = false;
  bool said_goodbye_ = false;
  TimePoint deadline_;
  PeerProbe probe_;

  std::optional<RequestParser> parser_;
  std::string backlog_;   // received, not parsed
  std::string out_;       // to send
  std::string sealed_;    // the same encrypted, where there is TLS
  std::size_t sent_ = 0;  // of wire()
  std::optional<TlsSession> tls_;
  std::array<char, 2 * 1024> chunk_;  // the outstanding read's own: nothing else touches it
};

}  // namespace pmt::net
