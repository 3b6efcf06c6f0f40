// A model's events as Anthropic's Messages API says them: one message, or its stream events:
//   message_start
//   for each block: content_block_start, content_block_delta, content_block_stop
//   message_delta (why it stopped, usage), message_stop
// Thread-safety: as AnswerWriter. Cost: as chat's writers.
#pragma once

#include <memory>
#include <string>

#include "api/json/answer_writer.h"

namespace pmt::api {

struct MessageShape {
  std::string id;          // "msg_..."
  std::string request_id;  // for an error in the stream
  bool omit_thinking = false;
};

std::unique_ptr<AnswerWriter> make_message_writer(MessageShape shape);
std::unique_ptr<StreamWriter> make_message_stream_writer(MessageShape shape);

}  // namespace pmt::api
