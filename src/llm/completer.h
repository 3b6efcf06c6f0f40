// The narrow waist. Whatever answers requests (the local model, an upstream, the response cache in front of
// either, the engines) is a Completer; whatever listens is a Sink.
#pragma once

#include <memory>
#include <string>

#include "base/cancel.h"
#include "llm/event.h"
#include "llm/request.h"

namespace pmt::llm {

/// Receives one request's events in event.h's order.
/// Thread-safety: the caller never overlaps two calls, but may call from changing threads, and from inside
/// Completer::start (a cache hit does). An implementation must return quickly and must not throw.
class Sink {
 public:
  virtual ~Sink() = default;
  /// By reference, for an event passes some eight sinks and is nearly a kilobyte: whoever keeps it moves it away.
  virtual void on_event(Event&& event) = 0;
};

/// Answers requests. Thread-safety: start may be called from any thread, concurrently.
class Completer {
 public:
  virtual ~Completer() = default;

  /// Starts `request` and returns without waiting for the model. Every failure, bad input included, arrives
  /// as a Failed event. After `cancel` is set the work stops soon, its memory is freed, and a terminal event
  /// (Failed with kCancelled, if not already Done) still arrives. `sink` is released after the terminal
  /// event. `request` comes by reference for the same reason as an event: whoever keeps it moves it away.
  virtual void start(Request&& request, std::shared_ptr<Sink> sink, base::CancelToken cancel) = 0;
};

/// Counts tokens as the model does. Thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::int64_t count_tokens(const std::string& text) const = 0;
};

}  // namespace pmt::llm
