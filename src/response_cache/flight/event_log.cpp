#include "response_cache/flight/event_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/guard.h"

namespace pmt::response_cache {

void EventLog::append(llm::Event event) {
  std::vector<std::shared_ptr<Reader>> idle;
  {
    const std::lock_guard lock(mutex_);
    CHECK(!ended_);
    idle.reserve(readers_.size());
    const bool ends = llm::is_terminal(event);
    events_.push_back(std::move(event));
    ended_ = ends;  // nothing throws from here on: who fails to append may still append why
    for (const auto& reader : readers_) {
      if (!std::exchange(reader->busy, true)) idle.push_back(reader);
    }
  }
  for (const auto& reader : idle) deliver(reader);
}

void EventLog::attach(std::shared_ptr<llm::Sink> sink) {
  auto reader = std::make_shared<Reader>();
  reader->sink = std::move(sink);
  {
    const std::lock_guard lock(mutex_);
    readers_.push_back(reader);
  }
  deliver(reader);
}

void EventLog::detach(const llm::Sink& sink, llm::Event last) {
  std::shared_ptr<Reader> reader;
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(readers_.begin(), readers_.end(), [&](const auto& r) { return r->sink.get() == &sink; });
    if (found == readers_.end() || (*found)->last) return;
    reader = *found;
    reader->last = std::move(last);
    if (std::exchange(reader->busy, true)) return;
  }
  deliver(reader);
}

/// Requires: the calling thread has set reader->busy.
void EventLog::deliver(const std::shared_ptr<Reader>& reader) {
  while (true) {
    const llm::Event* event = nullptr;
    bool terminal = false;
    {
      const std::lock_guard lock(mutex_);
      if (reader->last) {
        event = &*reader->last;
      } else if (reader->next < events_.size()) {
        event = &events_[reader->next++];
      } else {
        reader->busy = false;
        return;
      }
      terminal = llm::is_terminal(*event);
      if (terminal) remove(reader);
    }
    const base::Status given =
        base::guarded({base::Thread::kCache}, [&] { reader->sink->on_event(llm::Event(*event)); });
    if (terminal) return;
    if (!given) return give_up(reader, given.error());
  }
}

/// A sink that throws loses its own stream, not the others theirs.
void EventLog::give_up(const std::shared_ptr<Reader>& reader, const base::Error& error) {
  {
    const std::lock_guard lock(mutex_);
    remove(reader);
  }
  base::survives({base::Thread::kCache}, [&] { reader->sink->on_event(llm::Failed{error}); });
}

/// Requires: mutex_.
void EventLog::remove(const std::shared_ptr<Reader>& reader) {
  const auto at = std::find(readers_.begin(), readers_.end(), reader);
  std::swap(*at, readers_.back());
  readers_.pop_back();
}

}  // namespace pmt::response_cache
