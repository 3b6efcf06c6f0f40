// Passes a request's JSON on to the server that has the model, and its answer back: for endpoints of which nothing
// is acted on here (embeddings of an upstream).
#pragma once

#include <functional>
#include <string>

#include "base/cancel.h"
#include "base/result.h"

namespace pmt::llm {

class Forwarder {
 public:
  struct Asked {
    std::string body;  // as the caller wrote it: a JSON object that names this model
    std::string id, traceparent;
  };
  /// The answer's body: a JSON object that names the model as we serve it, else as it came.
  using Done = std::function<void(base::Result<std::string>)>;
  virtual ~Forwarder() = default;

  /// Returns at once; `done` is called once, from another thread or from here, and must return quickly. Errors:
  /// as an upstream's completer. Thread-safety: any thread may call it, concurrently.
  virtual void forward(Asked asked, const base::CancelToken& cancel, Done done) = 0;
};

}  // namespace pmt::llm
