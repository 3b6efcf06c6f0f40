// Server-sent events: writing them, and reading their payloads back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pmt::net {

/// One event with this payload: "data: ...\n\n", with a data line for each line of the payload.
std::string sse_event(std::string_view data);

struct SseEvent {
  std::string name;  // of its `event` line, "" without one
  std::string data;  // its payload: several data lines are joined by "\n"
};

/// Takes a stream apart, fed in pieces of any size. Line ends may be LF, CR LF or CR; comments and fields
/// other than `data` and `event` are passed over, as is an event without data. Thread-safety: none.
class SseParser {
 public:
  /// Returns the events that `bytes` completes, in order.
  std::vector<SseEvent> feed_events(std::string_view bytes);
  /// Their payloads.
  std::vector<std::string> feed(std::string_view bytes);

 private:
  void end_line(std::vector<SseEvent>* events);

  std::string line_;
  std::string name_;
  std::string data_;
  bool has_data_ = false;
  bool after_cr_ = false;
};

}  // namespace pmt::net
