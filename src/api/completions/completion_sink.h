// Where a completion's events become an HTTP answer.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/json/answer_writer.h"
#include "api/json/chat_body.h"
#include "llm/completer.h"
#include "net/http.h"

namespace pmt::api {

struct SinkOptions {
  bool only_if_cached = false;
  /// Members in the words of the API that was asked; empty: they are chat's, which everybody here uses.
  FieldNames names = {};
  std::vector<std::string> ignored = {};  // members of the request, to be named in the answer
};

class CompletionSink : public llm::Sink {
 public:
  /// Whether the terminal event has come. Any thread.
  bool finished() const { return finished_.load(std::memory_order_acquire); }

 protected:
  std::atomic<bool> finished_{false};
};

/// Collects the events and sends one JSON body at the terminal one.
std::shared_ptr<CompletionSink> make_json_sink(std::unique_ptr<AnswerWriter> writer, SinkOptions options,
                                               std::shared_ptr<net::Responder> responder);

/// Sends each event as it comes. The head goes out with the first chunk, not with Started, so that whatever
/// fails before the first token still has its own status; only where nothing came for five seconds it goes out
/// with a comment line, as one follows whenever so long nothing is said. `doing`: as net::Silence's.
std::shared_ptr<CompletionSink> make_stream_sink(std::unique_ptr<StreamWriter> writer, SinkOptions options,
                                                 std::shared_ptr<net::Responder> responder,
                                                 std::function<std::string()> doing = {});

}  // namespace pmt::api
