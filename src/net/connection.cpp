#include "net/connection.h"

#include <netinet/tcp.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>

#include "base/guard.h"
#include "net/response_head.h"

namespace pmt::net {
namespace asio = boost::asio;
namespace {

// Pipelined bytes kept while an answer runs; past this the client has to wait.
constexpr std::size_t kPipelinedBytesMax = 64 * 1024;
// Memory that an idle connection keeps for its next answer.
constexpr std::size_t kKeptBytesMax = 64 * 1024;
// How long a client that ended its sending may be quiet before the kernel asks whether it is there: the last
// to notice one that left, after its side has forgotten the connection (a minute).
constexpr int kEndedKeepAliveSeconds = 60;
// Time for a client to read our last words and close: closing first would reset the connection if its bytes
// are still on their way, and it might lose the answer.
constexpr int kLingerSeconds = 2;

using KeepAliveIdle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;

std::string address_of(const Socket& socket) {
  boost::system::error_code ec;
  const auto endpoint = socket.remote_endpoint(ec);
  if (ec) return "unknown";
  const char* format = endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}";
  return fmt::format(fmt::runtime(format), endpoint.address().to_string(), endpoint.port());
}

}  // namespace

Connection::Connection(Socket socket, const ServerOptions& options, const Handler& handler,
                       Admission admission)
    : socket_(std::move(socket)),
      options_(options),
      handler_(handler),
      admission_(admission),
      peer_(address_of(socket_)),
      outbox_(std::make_shared<Outbox>(
          [this] {
            if (auto self = weak_from_this().lock()) {
              asio::post(socket_.get_executor(), [self = std::move(self)] {
                self->flush();
                self->serve_backlog();
              });
            }
          },
          options.output_bytes_max)),
      pause_(socket_.get_executor(), TimePoint::max()) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  // Without it a chunk waits up to 40 ms for the acknowledgement of the one before.
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  parser_.emplace(limits());
  if (options_.tls != nullptr) tls_.emplace(*options_.tls);
  // A client has connected to say something: a handshake may not take longer than a request.
  expect_within(tls_ ? options_.request_timeout_s : options_.idle_timeout_s);
}

Connection::~Connection() {
  outbox_->close();
}

Task<void> Connection::run() {
  while (state_ != State::kClosed) {
    error_code ec;
    if (peer_ended_) {
      // Reading would give the same end again at once. What is left is a reset, or both sides' end.
      co_await socket_.async_wait(Socket::wait_error, asio::redirect_error(kAwait, ec));
      leave();
      continue;
    }
    if (must_pause()) {
      paused_ = true;
      co_await pause_.async_wait(asio::redirect_error(kAwait, ec));
      paused_ = false;
      continue;
    }
    const std::size_t size =
        co_await socket_.async_read_some(asio::buffer(chunk_), asio::redirect_error(kAwait, ec));
    if (ec) {
      on_read_end(ec);
    } else {
      take({chunk_.data(), size});
      if (size == chunk_.size()) read_more();
    }
  }
}

void Connection::take(std::string_view bytes) {
  if (tls_) {
    receive_sealed(bytes);
  } else {
    receive(bytes);
  }
}

/// A large body: more of it is there, and a chunk that each idle connection keeps is small.
void Connection::read_more() {
  thread_local std::array<char, 64 * 1024> large;
  while (state_ != State::kClosed && !must_pause()) {
    error_code ec;
    const std::size_t size = socket_.read_some(asio::buffer(large), ec);
    if (ec) return;  // nothing there yet, or an end that the next read is told of
    take({large.data(), size});
  }
}

bool Connection::must_pause() const {
  return peer_ended_ || (state_ == State::kAnswering && backlog_.size() >= kPipelinedBytesMax);
}

void Connection::on_read_end(const error_code& ec) {
  if (state_ == State::kClosed) return;
  if (ec != asio::error::eof || state_ == State::kLingering) return leave();
  peer_ended_ = true;
  error_code ignored;
  socket_.set_option(KeepAliveIdle(kEndedKeepAliveSeconds), ignored);
  if (state_ == State::kAnswering && backlog_.empty()) drain();
  flush();  // an answer may be complete that isn't taken yet
  serve_backlog();
  probe_peer(std::chrono::steady_clock::now());
}

/// The peer has ended its sending, and all whole requests are answered.
void Connection::end_requests() {
  if (!receiving_) return leave();
  reject(400, "the connection ended before the whole request had come: is its content-length right?");
}

void Connection::probe_peer(TimePoint now) {
  if (!peer_ended_ || state_ != State::kAnswering || writing_) return;
  const auto byte = probe_.next(outbox_->next(), now);
  if (!byte) return;
  out_.push_back(*byte);
  flush();
  serve_backlog();
}

void Connection::receive_sealed(std::string_view bytes) {
  std::string plain;
  const TlsSession::State state = tls_->receive(bytes, &plain);
  if (state == TlsSession::State::kPlainHttp) {
    tls_.reset();  // said in the language that it was asked in
    return reject(400, "this server speaks HTTPS here: use https://");
  }
  if (!plain.empty()) receive(plain);
  if (state_ == State::kClosed) return;
  flush();  // the handshake's answers, or an alert
  if (state == TlsSession::State::kBroken) return leave();
  if (state == TlsSession::State::kEnded) on_read_end(asio::error::eof);
}

void Connection::receive(std::string_view bytes) {
  if (state_ == State::kLingering || state_ == State::kClosed) return;
  if (state_ == State::kReading && backlog_.empty()) {
    backlog_.append(serve(bytes));
  } else {
    backlog_.append(bytes);
    serve_backlog();
  }
}

void Connection::serve_backlog() {
  if (state_ == State::kReading && !backlog_.empty()) {
    const std::string_view rest = serve(backlog_);
    backlog_.erase(0, backlog_.size() - rest.size());
  }
  if (state_ == State::kReading && peer_ended_) end_requests();
}

/// Parses and hands over requests for as long as each is answered at once; returns what is left.
std::string_view Connection::serve(std::string_view bytes) {
  while (state_ == State::kReading && !bytes.empty()) {
    if (admission_ == Admission::kRefused) {
      reject(503, "the server has too many connections; try again later", {{"retry-after", "1"}});
      break;
    }
    bytes.remove_prefix(parser_->parse(bytes));
    if (parser_->rejection()) {
      reject(parser_->rejection()->status, parser_->rejection()->message);
    } else if (parser_->done()) {
      dispatch();
    } else {
      if (!receiving_ && (parser_->started() || !bytes.empty())) {
        receiving_ = true;
        expect_within(options_.request_timeout_s);
      }
      if (!continue_sent_ && parser_->header_done() && parser_->expects_continue()) {
        continue_sent_ = true;
        out_.append("HTTP/1.1 100 Continue\r\n\r\n");
        flush();
      }
      break;
    }
  }
  return state_ == State::kReading || state_ == State::kAnswering ? bytes : std::string_view{};
}

void Connection::dispatch() {
  state_ = State::kAnswering;
  answer_ = Outbox::Answer::kOpen;
  HttpRequest request = parser_->take_request();
  request.peer = peer_;
  auto responder = outbox_->open({.keep_alive = parser_->keep_alive(),
                                  .http_1_1 = parser_->http_1_1(),
                                  .head = request.method == "HEAD"});
  // One that throws drops its Responder: 500.
  base::survives({base::Thread::kHttp}, [&] { handler_(std::move(request), std::move(responder)); });
  flush();
}

void Connection::reject(int status, std::string_view message, Headers headers) {
  HttpResponse response = error_response(status, message);
  if (options_.shape_refusal) options_.shape_refusal(parser_->path(), response);
  for (auto& header : headers) response.headers.push_back(std::move(header));
  append_head(response,
              {.keep_alive = false, .http_1_1 = parser_->http_1_1(), .content_length = response.body.size()},
              &out_);
  out_.append(response.body);
  linger();
  flush();
}

/// Sends all there is, as far as the socket takes it; goes on by itself when it takes more.
void Connection::flush() {
  if (writing_) return;
  while (state_ != State::kClosed) {
    if (sent_ == wire().size()) {
      wire().clear();
      sent_ = 0;
      if (tls_) {
        if (!tls_->seal(out_, &sealed_)) return leave();
        out_.clear();
        if (!sealed_.empty()) continue;
      }
      if (!on_all_sent()) return;
      continue;
    }
    error_code ec;
    sent_ += socket_.write_some(asio::buffer(wire().data() + sent_, wire().size() - sent_), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again) return wait_writable();
    if (ec) return leave();
  }
}

/// Fetches what the Responder wrote since; false when there is nothing more to send now.
bool Connection::on_all_sent() {
  if (state_ == State::kLingering) {
    if (tls_ && !std::exchange(said_goodbye_, true)) {
      tls_->close();
      return true;
    }
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    return false;
  }
  if (state_ != State::kAnswering) return false;
  if (answer_ != Outbox::Answer::kOpen) {
    end_answer();
    return true;
  }
  answer_ = outbox_->take(&out_);
  probe_.fit(&out_, answer_ != Outbox::Answer::kOpen);
  if (answer_ == Outbox::Answer::kOverflow) {
    spdlog::warn("{} takes its stream too slowly: closing", peer_);
    if (out_.empty()) {
      leave();
    } else {
      outbox_->close();  // whoever makes the answer can stop
      answer_ = Outbox::Answer::kClose;
    }
  }
  return answer_ != Outbox::Answer::kOpen || !out_.empty();
}

void Connection::wait_writable() {
  writing_ = true;
  if (state_ == State::kAnswering) expect_within(options_.write_timeout_s);
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const error_code& ec) {
    self->writing_ = false;
    if (ec) return;
    self->flush();
    self->serve_backlog();
  });
}

void Connection::end_answer() {
  if (out_.capacity() > kKeptBytesMax) std::string().swap(out_);
  if (sealed_.capacity() > kKeptBytesMax) std::string().swap(sealed_);
  if (closing_ || answer_ == Outbox::Answer::kClose) return linger();
  state_ = State::kReading;
  receiving_ = continue_sent_ = false;
  parser_.emplace(limits());
  expect_within(options_.idle_timeout_s);
  if (paused_) pause_.cancel();
}

/// The last bytes are in out_: once they are sent, only the client's closing is waited for.
void Connection::linger() {
  state_ = State::kLingering;
  expect_within(kLingerSeconds);
  if (paused_) pause_.cancel();
}

void Connection::leave() {
  if (state_ == State::kClosed) return;
  const bool breaks_off = state_ == State::kAnswering && probe_.has_begun_chunk();
  state_ = State::kClosed;
  error_code ignored;
  if (breaks_off && !tls_)
    socket_.write_some(asio::buffer(PeerProbe::kBroken), ignored);  // TLS's own end tells
  socket_.close(ignored);
  if (paused_) pause_.cancel();
  outbox_->close();
}

void Connection::check_deadline(TimePoint now) {
  probe_peer(now);
  outbox_->break_silence(now);
  if (now < deadline_ || state_ == State::kClosed) return;
  if (state_ == State::kAnswering && !writing_) return;  // answering takes as long as it takes
  if (state_ != State::kReading || !receiving_) return leave();
  reject(408, fmt::format("the whole request did not arrive within {} s", options_.request_timeout_s));
}

void Connection::drain() {
  if (state_ != State::kAnswering) return leave();
  closing_ = true;
  outbox_->make_last();
}

void Connection::expect_within(int seconds) {
  deadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
}

RequestParser::Limits Connection::limits() const {
  return {.header_bytes_max = options_.header_bytes_max, .body_bytes_max = options_.body_bytes_max};
}

}  // namespace pmt::net
