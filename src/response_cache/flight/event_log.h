// One computation's events, kept from the first on, for any number of sinks that come at any time: each gets
// every event so far, then the live ones, in order and never two at once.
//
// Whoever appends also delivers to the sinks that are idle; a sink that is busy (in another thread, with its
// backlog) is served by that thread, so that it holds up neither the producer nor the others. Nothing is
// delivered under the log's lock: a sink may call attach, detach and append.
// Thread-safety: any thread may call anything; append by one at a time.
// Cost: an event is stored once and copied once for each sink.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "llm/completer.h"

namespace pmt::response_cache {

class EventLog {
 public:
  /// Requires: no terminal event before.
  void append(llm::Event event);

  /// The sink is released after its terminal event. Requires: it is not attached already.
  void attach(std::shared_ptr<llm::Sink> sink);

  /// Ends `sink`'s stream early with the terminal event `last`, after the one that it is being given now.
  /// Does nothing if the sink's stream has ended.
  void detach(const llm::Sink& sink, llm::Event last);

 private:
  struct Reader {
    std::shared_ptr<llm::Sink> sink;
    std::size_t next = 0;  // index into events_
    bool busy = true;      // a thread is in deliver() for it
    std::optional<llm::Event> last;
  };

  void deliver(const std::shared_ptr<Reader>& reader);
  void give_up(const std::shared_ptr<Reader>& reader, const base::Error& error);
  void remove(const std::shared_ptr<Reader>& reader);

  std::mutex mutex_;
  std::deque<llm::Event> events_;  // a deque: an element stays where it is while others are appended
  bool ended_ = false;
  std::vector<std::shared_ptr<Reader>> readers_;
};

}  // namespace pmt::response_cache
