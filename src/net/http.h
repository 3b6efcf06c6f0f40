// HTTP/1.1 messages as handlers see them. Knows nothing of language models.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pmt::net {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;                                      // upper case
  std::string path;                                        // percent-decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  Headers headers;                                         // names in lower case
  std::string body;
  std::string peer;  // address:port

  /// First value of a header (name in lower case) or query parameter; "" when absent.
  std::string_view header(std::string_view name) const;
  std::string_view query_value(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  Headers headers = {};  // content-length, date and connection are added by the server
  std::string body = {};
};

/// What a stream of server-sent events says while it has nothing to say: a comment line, which clients pass
/// over.
struct Silence {
  double after_s = 5;
  /// What is being done, asked on an I/O thread, where it mustn't wait; "": the work itself. While it says
  /// something, that is said after a second already.
  std::function<std::string()> doing = {};
};

/// The answering side of one request.
/// Thread-safety: any thread may call anything, in any order of arrival; writes go out in call order and are
/// coalesced. Calls after the peer has left do nothing. Exactly one of send() or
/// start_stream()..finish_stream() is used; a Responder dropped with neither answers 500.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void send(HttpResponse response) = 0;
  /// Chunked transfer; `head.body` is the first chunk if not empty.
  virtual void start_stream(HttpResponse head) = 0;
  virtual void write(std::string chunk) = 0;
  virtual void finish_stream() = 0;
  /// Before any of the others: the answer is a stream of server-sent events that must not be silent. If it
  /// hasn't begun when a comment is due, it begins with `head`. A start_stream() that comes later only
  /// writes its body, and a send() its body as the last event.
  virtual void keep_alive(HttpResponse head, Silence silence) {
    static_cast<void>(head);
    static_cast<void>(silence);
  }
  /// `callback` runs once, soon after the peer closes before the answer is complete (at once if it already
  /// has). It must not block.
  virtual void on_disconnect(std::function<void()> callback) = 0;
};

/// Called on an I/O thread: must not block. May answer inside the call or keep `responder` and answer later.
using Handler = std::function<void(HttpRequest request, std::shared_ptr<Responder> responder)>;

}  // namespace pmt::net
