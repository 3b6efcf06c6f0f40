#include "net/sse.h"

namespace pmt::net {

std::string sse_event(std::string_view data) {
  std::string out;
  out.reserve(data.size() + 8);
  for (;;) {
    const std::size_t end = data.find_first_of("\r\n");
    out.append("data: ").append(data.substr(0, end)).append("\n");
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + (data.substr(end, 2) == "\r\n" ? 2 : 1));
  }
  out.append("\n");
  return out;
}

std::vector<std::string> SseParser::feed(std::string_view bytes) {
  std::vector<std::string> payloads;
  for (SseEvent& event : feed_events(bytes)) payloads.push_back(std::move(event.data));
  return payloads;
}

std::vector<SseEvent> SseParser::feed_events(std::string_view bytes) {
  std::vector<SseEvent> events;
  for (;;) {
    // The LF of a CR LF may come in a later piece than its CR.
    if (after_cr_ && !bytes.empty()) {
      if (bytes.front() == '\n') bytes.remove_prefix(1);
      after_cr_ = false;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    line_.append(bytes.substr(0, end));
    if (end == std::string_view::npos) return events;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_line(&events);
  }
}

void SseParser::end_line(std::vector<SseEvent>* events) {
  std::string_view line = line_;
  if (line.empty()) {
    if (has_data_) events->push_back({std::move(name_), std::move(data_)});
    name_.clear();
    data_.clear();
    has_data_ = false;
    return;
  }
  const std::size_t colon = line.find(':');
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (line.substr(0, colon) == "event") name_ = value;
  if (line.substr(0, colon) == "data") {
    if (has_data_) data_.push_back('\n');
    data_.append(value);
    has_data_ = true;
  }
  line_.clear();
}

}  // namespace pmt::net
