// A list of Completers, asked in order until one answers. The next is asked only when nothing was passed on
// and the failure is not the request's own fault. Who answers is in Started's model; what failed before is in
// the report's upstream.fallbacks, [{"model", "error"}].
//
// Stands in front of the response cache, one for each completer in the list: so an answer is kept under the
// key of the model that gave it.
// Errors: the last one's. Thread-safety: start from any thread; the completers outlive every request.
#pragma once

#include <string>
#include <vector>

#include "llm/completer.h"

namespace pmt::upstream {

class FallbackCompleter final : public llm::Completer {
 public:
  struct Entry {
    std::string model;
    llm::Completer* completer;
    bool local = false;  // takes no more of a request than our own models do
  };
  /// Requires: at least one entry.
  explicit FallbackCompleter(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;

 private:
  const std::vector<Entry> entries_;
};

/// Whether another model may do better: not after a mistake in the request or when the caller has left.
bool may_fall_back(base::Code code);

}  // namespace pmt::upstream
