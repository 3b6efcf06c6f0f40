// The content of a message of POST /v1/messages (text, images, documents, tool_use, tool_result, thinking) ->
// chat's messages. A user's message may become several: each tool_result is a message of its own there.
// Thread-safety: none. Errors: kInvalidArgument, the field below the message.
#pragma once

#include <string>
#include <vector>

#include "api/json/chat_body.h"
#include "api/json/json_reader.h"
#include "base/result.h"

namespace pmt::api {

struct MessageBlocksOptions {
  bool keep_cache_control = false;  // an upstream may know it; nobody here does
};

/// One of `messages`; `own`: its path.
base::Status read_message_item(Json value, const std::string& own, MessageBlocksOptions options,
                               std::vector<ChatMessage>& out);

/// `system`: a text or text blocks.
base::Status read_message_system(Json value, MessageBlocksOptions options, std::vector<ChatMessage>& out);

}  // namespace pmt::api
