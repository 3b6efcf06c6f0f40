// A server's answer -> llm events, in whichever of the three APIs it speaks: streamed or whole.
// Foreign input: whatever is sent, the events have event.h's order; what has another type than it should is an
// error, not a guess. Thread-safety: none; one reader reads one answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "llm/event.h"
#include "llm/request.h"

namespace pmt::upstream {

/// The answer that is read.
struct AnswerAbout {
  llm::Endpoint endpoint = llm::Endpoint::kChat;
  std::string model;            // Started's: the name under which we serve it
  std::int64_t now_unix_s = 0;  // for a server that doesn't say
  std::string seed = {};        // of the ids of calls that have none: another for each request
};

class EventReader {
 public:
  virtual ~EventReader() = default;

  /// Appends to `out` what the payload of one server-sent event means; "[DONE]" too, and nothing for an empty one.
  /// Errors: kBadGateway, not such an event; or what the server says went wrong (upstream_error).
  virtual base::Status chunk(std::string_view payload, std::vector<llm::Event>& out) = 0;
  /// The whole body at once.
  virtual base::Status whole(std::string_view body, std::vector<llm::Event>& out) = 0;
  /// The stream is over: appends Done, if it wasn't yet. Errors: kBadGateway, it isn't complete.
  virtual base::Status finish(std::vector<llm::Event>& out) = 0;
};

std::unique_ptr<EventReader> make_reader(llm::Api api, AnswerAbout about);

}  // namespace pmt::upstream
