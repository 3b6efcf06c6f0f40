// The bytes before a response's body, and the bodies of the errors that the server itself answers.
// Thread-safety: pure functions, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace pmt::net {

/// Every response's first bytes.
inline constexpr std::string_view kHeadStart = "HTTP/1.1 ";

struct HeadFraming {
  bool keep_alive = true;
  bool http_1_1 = true;
  /// No value: a stream, chunked for HTTP/1.1, up to the end of the connection for HTTP/1.0.
  std::optional<std::size_t> content_length;
};

/// Appends status line and headers, the blank line included. Framing headers (content-length, date,
/// connection, transfer-encoding) in `response.headers` are passed over; a line break inside a value becomes
/// a space.
void append_head(const HttpResponse& response, const HeadFraming& framing, std::string* out);

/// True if the handler itself asks for `connection: close`.
bool asks_to_close(const HttpResponse& response);

/// True for a status that never has a body (1xx, 204, 304).
bool is_bodiless(int status);

/// {"error": ...} in OpenAI's shape, as a response. `message` must need no JSON escapes.
HttpResponse error_response(int status, std::string_view message);

}  // namespace pmt::net
