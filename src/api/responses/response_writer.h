// A model's events as OpenAI's Responses API says them: one object, or its typed and numbered stream events:
//   response.created, response.in_progress
//   for each item: response.output_item.added, its parts and deltas, response.output_item.done
//   response.completed, response.incomplete or response.failed
// Thread-safety: as AnswerWriter. Cost: as chat's writers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/json/answer_writer.h"
#include "api/responses/response_object.h"

namespace pmt::api {

/// Told whenever the object changed in a way that others may look at: begun, ended, failed.
using ResponseListener = std::function<void(const ResponseObject&)>;

struct ResponseWriterOptions {
  ResponseShape shape;
  std::function<std::int64_t()> unix_seconds;
  ResponseListener on_change = [](const ResponseObject&) {};
};

std::unique_ptr<AnswerWriter> make_response_writer(ResponseWriterOptions options);
std::unique_ptr<StreamWriter> make_response_stream_writer(ResponseWriterOptions options);

}  // namespace pmt::api
