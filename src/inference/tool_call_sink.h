// Between a model and who listens: what it writes as calls and as thinking becomes pieces of calls and of thinking
// (call_reader.h). Thread-safety: as any sink's. Cost: linear in the text.
#pragma once

#include <memory>
#include <string>

#include "inference/call_reader.h"
#include "llm/completer.h"
#include "model/native_chat.h"

namespace pmt::inference {

/// Calls get ids that are made of `id`, a request's.
std::shared_ptr<llm::Sink> make_tool_call_sink(std::shared_ptr<llm::Sink> sink, std::string id,
                                               CallRules rules);

/// The same for an answer in the notation of the model's own template. What isn't in it is read as above.
std::shared_ptr<llm::Sink> make_native_call_sink(std::shared_ptr<llm::Sink> sink, std::string id,
                                                 CallRules rules, model::NativeReader reader);

}  // namespace pmt::inference
