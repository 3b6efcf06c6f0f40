// What every API that completes does between reading its request and writing its answer: the model of that
// name, the caller's tenant and trace, what this server can't do, the observers, the client that leaves.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "api/api.h"
#include "api/completions/completion_sink.h"
#include "api/json/answer_writer.h"
#include "api/json/chat_body.h"
#include "api/json/parse.h"
#include "api/router.h"

namespace pmt::api {

struct PreparedCall {
  CompletionCall call;
  const ServedModel* model = nullptr;
  int shown = 1;                // choices of each prompt that are given
  int drawn = 1;                // if above those: that come, of which the best stay
  std::optional<int> logprobs;  // that were asked for
};

/// `body`: what the call was read from; `own`: what its caller wrote, where that was another API's.
/// Errors: kInvalidArgument, kNotFound, kUnprocessable, in chat's words.
base::Result<PreparedCall> prepare_completion(CompletionCall call, std::string body,
                                              const ApiOptions& options, const Exchange& exchange,
                                              llm::SentBody::Own own = {});

/// The sink for the way in which this call wants its answer.
struct Writers {
  std::function<std::unique_ptr<AnswerWriter>()> whole;
  std::function<std::unique_ptr<StreamWriter>()> streamed;
};

struct StartOptions {
  FieldNames names = {};  // as in SinkOptions
  base::CancelToken cancel = {};
  bool outlives_client = false;  // a client that leaves doesn't end it; `cancel` does
};

void start_completion(PreparedCall prepared, const Writers& writers, const ApiOptions& options,
                      const Exchange& exchange, StartOptions how = {});

}  // namespace pmt::api
