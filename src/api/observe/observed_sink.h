// A Sink that notes a completion's facts on the way to the one that answers.
#pragma once

#include <memory>

#include "api/observe/request_record.h"
#include "base/clock.h"
#include "llm/completer.h"

namespace pmt::api {

struct ObservedSinkOptions {
  bool keep_texts = false;
};

/// Fills `record->completion` (made here, from `request`) before it forwards the terminal event. Cost: two
/// clock readings and one copy of the report a request, a clock reading a piece of text.
std::shared_ptr<llm::Sink> observe_completion(const llm::Request& request, bool streamed,
                                              std::shared_ptr<RequestRecord> record,
                                              std::shared_ptr<llm::Sink> inner, const base::Clock& clock,
                                              ObservedSinkOptions options);

}  // namespace pmt::api
