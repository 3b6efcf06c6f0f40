// POST /v1/messages' body -> chat's words (json/chat_body.h) -> the request. A parameter that we don't know,
// or can't follow, is refused by name. Thread-safety: pure. Errors: kInvalidArgument under the caller's path.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/json/chat_body.h"
#include "api/json/parse.h"
#include "base/result.h"

namespace pmt::api {

struct MessageCall {
  CompletionCall call;  // its refusals are in chat's words
  std::string chat;     // what it was read from: the request in chat's words
  FieldNames names;
  bool omit_thinking = false;  // thinking blocks come without their text
};

struct MessageRequestOptions {
  /// Whether a model of that name is another server's.
  std::function<bool(std::string_view)> is_remote = [](std::string_view) { return false; };
  EngineOptionsReaders engines = {};
  bool counting = false;  // POST /v1/messages/count_tokens: nothing is written, so no limit is needed
};

base::Result<MessageCall> read_message_request(const std::string& body, const MessageRequestOptions& options);

}  // namespace pmt::api
